//! Input with a deadline.

use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Reads from a descriptor until a deadline. Unread bytes stay in the descriptor: there is no buffer.
pub(crate) struct TimedInput<'a> {
    descriptor: BorrowedFd<'a>,
    deadline: Instant,
}

impl<'a> TimedInput<'a> {
    /// Returns input that ends with [`io::ErrorKind::TimedOut`] after `deadline`.
    pub(crate) fn new(descriptor: BorrowedFd<'a>, deadline: Instant) -> Self {
        Self {
            descriptor,
            deadline,
        }
    }

    fn wait(&self) -> io::Result<()> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
            match poll(&mut descriptors, Timespec::try_from(left).ok().as_ref()) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for TimedInput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait()?;
            match rustix::io::read(self.descriptor, &mut *buffer) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_silent_peer_is_not_waited_for() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"12").unwrap();
        let mut input = TimedInput::new(ours.as_fd(), Instant::now() + Duration::from_millis(50));
        let error = input.read_exact(&mut [0; 3]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_peer_that_is_gone_ends_the_input() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut input = TimedInput::new(ours.as_fd(), Instant::now() + Duration::from_secs(60));
        assert_eq!(input.read(&mut [0; 3]).unwrap(), 0);
    }
}
