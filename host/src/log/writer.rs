//! The thread that writes the log. It may wait for the log's reader without a limit, because nothing waits for this thread.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::Duration;

use super::queue::{LogQueue, NextLine};

/// Interval between attempts to report dropped lines when there is nothing else to write.
const LOG_REPORT: Duration = Duration::from_secs(5);
/// Pause before the next attempt to write to a non-blocking output (`O_NONBLOCK`) that is not ready: other programs with the
/// same terminal or pipe can set that flag.
const LOG_PAUSE: Duration = Duration::from_millis(20);

/// Formats the line that reports how many lines were lost and why.
pub(super) type LossReport = Box<dyn Fn(u64, &str) -> Vec<u8> + Send>;

/// Writes the lines of a queue, counts those that cannot be written, and reports them as soon as possible.
pub(super) struct LogWriter<W> {
    output: W,
    report: LossReport,
    /// Lines lost since the last report.
    lost: u64,
    /// Why the last one was lost; `None` when it did not fit into the queue.
    cause: Option<String>,
    /// Whether the output ends in the middle of a line.
    is_torn: bool,
}

impl<W: Write> LogWriter<W> {
    /// Creates a writer that has lost nothing.
    pub(super) fn new(output: W, report: LossReport) -> Self {
        Self {
            output,
            report,
            lost: 0,
            cause: None,
            is_torn: false,
        }
    }

    /// Writes until the end of the queue.
    pub(super) fn run(mut self, queue: &LogQueue) {
        loop {
            let next = queue.next((self.lost > 0).then_some(LOG_REPORT));
            self.lost = self.lost.saturating_add(queue.take_dropped());
            self.report_losses();
            match next {
                NextLine::Line(line) => {
                    let lost = self.lost;
                    self.write(&line);
                    if self.lost > lost {
                        queue.count_unwritten();
                    }
                }
                NextLine::Nothing => {}
                NextLine::End => break,
            }
        }
        queue.end();
    }

    /// Reports how many lines were lost, at the place where they would have been.
    fn report_losses(&mut self) {
        if self.lost == 0 {
            return;
        }
        let cause = self.cause.as_deref();
        let report = (self.report)(self.lost, cause.unwrap_or("its reader is too slow"));
        match self.put(&report) {
            Ok(()) => {
                self.lost = 0;
                self.cause = None;
            }
            Err(error) => self.cause = Some(error.to_string()),
        }
    }

    fn write(&mut self, line: &[u8]) {
        // The report has just failed: one attempt for each line is enough.
        if self.lost > 0 {
            self.lost = self.lost.saturating_add(1);
        } else if let Err(error) = self.put(line) {
            self.lost = 1;
            self.cause = Some(error.to_string());
        }
    }

    /// Writes a whole line, on a line of its own even after one that was cut.
    fn put(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.is_torn {
            self.put_bytes(b"\n")?;
            self.is_torn = false;
        }
        self.put_bytes(line)
    }

    fn put_bytes(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match self.output.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    bytes = bytes.get(length..).unwrap_or_default();
                    self.is_torn = !bytes.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOG_PAUSE),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::queue::LOG_LINES;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// An output with room for a number of bytes.
    #[derive(Clone, Default)]
    struct Disk {
        room: Arc<Mutex<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Disk {
        fn with_room(room: usize) -> Self {
            let disk = Self::default();
            disk.set_room(room);
            disk
        }

        fn set_room(&self, room: usize) {
            *self.room.lock().unwrap() = room;
        }

        fn text(&self) -> String {
            String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let length = bytes.len().min(*room);
            if length == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            *room -= length;
            self.written.lock().unwrap().write(&bytes[..length])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const PLENTY: usize = 1_000_000;

    fn writer(disk: &Disk) -> LogWriter<Disk> {
        let report = |count, cause: &str| format!("lost {count}: {cause}\n").into_bytes();
        LogWriter::new(disk.clone(), Box::new(report))
    }

    /// Writes these lines and ends.
    fn written(disk: &Disk, queue: &LogQueue) {
        queue.close(Duration::ZERO);
        writer(disk).run(queue);
    }

    #[test]
    fn lines_are_written_in_order() {
        let (disk, queue) = (Disk::with_room(PLENTY), LogQueue::default());
        queue.push(b"one\n");
        queue.push(b"two\n");
        written(&disk, &queue);
        assert_eq!(disk.text(), "one\ntwo\n");
    }

    #[test]
    fn the_losses_of_a_full_disk_are_reported_afterwards() {
        let disk = Disk::default();
        let mut writer = writer(&disk);
        for _ in 0..37 {
            writer.report_losses();
            writer.write(b"lost\n");
        }
        disk.set_room(PLENTY);
        for line in [b"one\n", b"two\n"] {
            writer.report_losses();
            writer.write(line);
        }
        assert_eq!(disk.text(), "lost 37: no storage space\none\ntwo\n");
    }

    #[test]
    fn a_line_after_a_cut_one_is_whole() {
        let disk = Disk::with_room(3);
        let mut writer = writer(&disk);
        writer.write(b"first\n");
        disk.set_room(PLENTY);
        writer.report_losses();
        writer.write(b"second\n");
        assert_eq!(disk.text(), "fir\nlost 1: no storage space\nsecond\n");
    }

    #[test]
    fn lines_dropped_by_the_queue_are_reported() {
        let (disk, queue) = (Disk::with_room(PLENTY), LogQueue::default());
        for _ in 0..LOG_LINES + 5 {
            queue.push(b"x\n");
        }
        written(&disk, &queue);
        let text = disk.text();
        assert_eq!(text.matches("x\n").count(), LOG_LINES);
        assert_eq!(text.matches("lost 5: its reader is too slow\n").count(), 1);
    }

    #[test]
    fn an_output_that_is_not_ready_is_tried_again() {
        struct Busy(Disk, u32);
        impl Write for Busy {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                match self.1 {
                    1 => Err(ErrorKind::Interrupted.into()),
                    2 => Err(ErrorKind::WouldBlock.into()),
                    _ => self.0.write(bytes),
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (disk, queue) = (Disk::with_room(PLENTY), LogQueue::default());
        queue.push(b"one\n");
        queue.close(Duration::ZERO);
        LogWriter::new(Busy(disk.clone(), 0), Box::new(|_, _| Vec::new())).run(&queue);
        assert_eq!(disk.text(), "one\n");
    }

    /// A reader of a pipe that does not read: neither the threads that log nor the end of the process wait for it.
    #[test]
    fn a_writer_that_waits_forever_blocks_nothing() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = std::sync::mpsc::channel();
        let queue = &LogQueue::default();
        thread::scope(|scope| {
            let writer = LogWriter::new(Stuck(stuck), Box::new(|_, _| b"lost\n".to_vec()));
            scope.spawn(move || writer.run(queue));
            for _ in 0..LOG_LINES * 2 {
                queue.push(b"line\n");
            }
            queue.close(Duration::from_millis(1));
            drop(release);
        });
    }
}
