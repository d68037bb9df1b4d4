//! A bounded queue of lines between the threads that log and the one that writes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most lines in the queue; further lines are dropped and counted. This is a second of a busy proxy, so that a reader may
/// pause without losses.
pub(super) const LOG_LINES: usize = 16_384;
/// Most bytes in the queue. The longest line, with every string of a client at its limit and escaped, has some 10 KiB.
const LOG_BYTES: usize = 4 * 1024 * 1024;

/// The lines that wait to be written. The lock is never held while a line is written or formatted, so that threads that log
/// wait for a few instructions of each other and never for the log's reader.
#[derive(Debug, Default)]
pub(super) struct LogQueue {
    state: Mutex<QueueState>,
    /// Signals a line, or the end.
    news: Condvar,
    /// Signals that the writer has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that did not fit, since the count was last taken.
    dropped: u64,
    /// Lines that were dropped since the start, those included that the writer could not write.
    total_dropped: u64,
    /// Whether the writer waits for a line.
    is_awaited: bool,
    is_closed: bool,
    has_ended: bool,
}

/// The result of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextLine {
    /// The oldest line.
    Line(Vec<u8>),
    /// No line within the given time.
    Nothing,
    /// The queue is closed and empty.
    End,
}

impl LogQueue {
    /// Adds a line with its line break, or counts it when the queue is full. Never waits for the log's reader.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if !state.has_room(line.len()) {
            state.dropped = state.dropped.saturating_add(1);
            state.total_dropped = state.total_dropped.saturating_add(1);
            return;
        }
        state.bytes = state.bytes.saturating_add(line.len());
        state.lines.push_back(line.to_vec());
        if state.is_awaited {
            self.news.notify_one();
        }
    }

    /// Takes the oldest line; waits for one, and no longer than `patience` if it is given.
    pub(super) fn next(&self, patience: Option<Duration>) -> NextLine {
        let end = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes = state.bytes.saturating_sub(line.len());
                return NextLine::Line(line);
            }
            if state.is_closed {
                return NextLine::End;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return NextLine::Nothing;
            }
            state.is_awaited = true;
            state = wait(&self.news, state, left);
            state.is_awaited = false;
        }
    }

    /// Returns the number of lines that were dropped since the start.
    pub(super) fn count_dropped(&self) -> u64 {
        self.lock().total_dropped
    }

    /// Counts a line that could not be written.
    pub(super) fn count_unwritten(&self) {
        let mut state = self.lock();
        state.total_dropped = state.total_dropped.saturating_add(1);
    }

    /// Returns the number of lines that were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Closes the queue, and waits until its lines have been written, but no longer than `patience`.
    pub(super) fn close(&self, patience: Duration) {
        let end = Instant::now().checked_add(patience);
        let mut state = self.lock();
        state.is_closed = true;
        self.news.notify_one();
        while !state.has_ended {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_none_or(|left| left.is_zero()) {
                return;
            }
            state = wait(&self.ended, state, left);
        }
    }

    /// Records that the writer has ended.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.ended.notify_all();
    }

    /// Nothing can panic while the lock is held, and a queue of lines has no state that a panic could leave inconsistent.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    /// An empty queue accepts any line, so that a long one is not lost because of its length.
    fn has_room(&self, length: usize) -> bool {
        !self.is_closed
            && (self.lines.is_empty()
                || (self.lines.len() < LOG_LINES && self.bytes.saturating_add(length) <= LOG_BYTES))
    }
}

fn wait<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, QueueState>,
    patience: Option<Duration>,
) -> MutexGuard<'a, QueueState> {
    match patience {
        Some(patience) => {
            let woken = condition.wait_timeout(state, patience);
            woken.unwrap_or_else(PoisonError::into_inner).0
        }
        None => condition
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_order() {
        let queue = LogQueue::default();
        queue.push(b"one\n");
        queue.push(b"two\n");
        assert_eq!(queue.next(None), NextLine::Line(b"one\n".to_vec()));
        assert_eq!(queue.next(None), NextLine::Line(b"two\n".to_vec()));
        assert_eq!(queue.next(Some(Duration::ZERO)), NextLine::Nothing);
        queue.push(b"three\n");
        queue.close(Duration::ZERO);
        queue.push(b"late\n");
        assert_eq!(queue.next(None), NextLine::Line(b"three\n".to_vec()));
        assert_eq!(queue.next(None), NextLine::End);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let queue = LogQueue::default();
        for _ in 0..LOG_LINES + 7 {
            queue.push(b"line\n");
        }
        assert_eq!(queue.take_dropped(), 7);
        assert_eq!(queue.take_dropped(), 0);
        assert_eq!(queue.next(None), NextLine::Line(b"line\n".to_vec()));
        queue.push(b"line\n");
        assert_eq!(queue.take_dropped(), 0, "there was room again");
    }

    #[test]
    fn its_bytes_are_bounded_too_but_a_long_line_alone_passes() {
        let queue = LogQueue::default();
        let long = vec![b'x'; LOG_BYTES + 1];
        queue.push(&long);
        queue.push(b"short\n");
        assert_eq!(queue.take_dropped(), 1);
        assert_eq!(queue.next(None), NextLine::Line(long));
        let half = vec![b'x'; LOG_BYTES / 2];
        for _ in 0..3 {
            queue.push(&half);
        }
        assert_eq!(queue.take_dropped(), 1);
    }

    #[test]
    fn a_line_wakes_the_writer_and_closing_waits_for_it() {
        let queue = LogQueue::default();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let line = queue.next(None);
                let end = queue.next(None);
                queue.end();
                (line, end)
            });
            queue.push(b"line\n");
            queue.close(Duration::from_secs(30));
            let found = writer.join().unwrap();
            assert_eq!(found, (NextLine::Line(b"line\n".to_vec()), NextLine::End));
        });
    }
}
