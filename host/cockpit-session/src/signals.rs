//! Signals, none of which is lost: each writes a byte to a socket of its own when it arrives.

use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Signals that ask this process to end, or that are passed to the bridge.
const ASKING: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
];

/// The event that ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A child process has ended or stopped.
    Child,
    /// A signal asks the process to end.
    Asked(Signal),
    /// The peer of the watched socket has closed it.
    PeerClosed,
    /// The time has passed.
    Nothing,
}

/// The signals that this process waits for.
#[derive(Debug)]
pub(crate) struct Signals(Vec<(Signal, UnixStream)>);

impl Signals {
    /// Begins to collect signals. Child processes have the signals' default actions, as after every exec.
    pub(crate) fn collect() -> io::Result<Self> {
        let mut signals = Vec::new();
        for signal in ASKING.into_iter().chain([Signal::SIGCHLD]) {
            let (ours, handlers) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal as i32, handlers)?;
            signals.push((signal, ours));
        }
        Ok(Self(signals))
    }

    /// Waits for the next event, including one that happened before; `peer` is watched for its end, but not read.
    pub(crate) fn wait(&self, peer: Option<BorrowedFd<'_>>, limit: Duration) -> io::Result<Event> {
        let mut descriptors: Vec<PollFd<'_>> = self
            .0
            .iter()
            .map(|(_, socket)| PollFd::new(socket, PollFlags::IN))
            .collect();
        // Not POLLIN: the bridge reads the data.
        descriptors.extend(peer.map(|peer| PollFd::from_borrowed_fd(peer, PollFlags::RDHUP)));
        match poll(&mut descriptors, Timespec::try_from(limit).ok().as_ref()) {
            Err(Errno::INTR) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        for (signal, socket) in &self.0 {
            if drain(socket) {
                return Ok(match signal {
                    Signal::SIGCHLD => Event::Child,
                    signal => Event::Asked(*signal),
                });
            }
        }
        let closed = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let peer_closed = peer.is_some()
            && descriptors
                .last()
                .is_some_and(|peer| peer.revents().intersects(closed));
        Ok(if peer_closed {
            Event::PeerClosed
        } else {
            Event::Nothing
        })
    }
}

/// Removes all bytes from the socket and returns whether there were any.
fn drain(mut socket: &UnixStream) -> bool {
    let mut any = false;
    while matches!(socket.read(&mut [0; 64]), Ok(1..)) {
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use nix::sys::signal::raise;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// One test for all, as signals belong to the whole process.
    #[test]
    fn signals_and_the_peer_are_noticed() {
        let signals = Signals::collect().unwrap();
        raise(Signal::SIGHUP).unwrap();
        raise(Signal::SIGTERM).unwrap();
        raise(Signal::SIGCHLD).unwrap();
        let events = [(); 3].map(|()| signals.wait(None, LONG).unwrap());
        assert_eq!(
            events,
            [
                Event::Asked(Signal::SIGTERM),
                Event::Asked(Signal::SIGHUP),
                Event::Child
            ]
        );
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert_eq!(
            signals.wait(Some(ours.as_fd()), Duration::ZERO).unwrap(),
            Event::Nothing
        );
        drop(theirs);
        assert_eq!(
            signals.wait(Some(ours.as_fd()), LONG).unwrap(),
            Event::PeerClosed
        );
    }
}
