//! The body of a paused request, which is buffered until the plugin has decided.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;

/// Most bytes that an instance buffers for all requests together. Any client can send a body that a plugin reads, so
/// the total has to be bounded.
const KEPT_LIMIT: usize = 64 * 1024 * 1024;

/// Counts the bytes of all buffers of an instance.
#[derive(Debug, Default)]
pub(crate) struct KeptBytes(Cell<usize>);

/// The total of all buffers would be too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The beginning of a request's body, which is forwarded with the request.
#[derive(Debug)]
pub(crate) struct RequestBuffer {
    bytes: Vec<u8>,
    kept: Rc<KeptBytes>,
}

impl RequestBuffer {
    /// Creates an empty buffer.
    pub(crate) fn counted_in(kept: &Rc<KeptBytes>) -> Self {
        Self {
            bytes: Vec::new(),
            kept: Rc::clone(kept),
        }
    }

    /// Returns the buffered bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a chunk.
    pub(crate) fn append(&mut self, chunk: &[u8]) -> Result<(), Full> {
        self.recount(self.bytes.len().saturating_add(chunk.len()))?;
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Replaces `size` bytes from `start` on, as many of them as exist, by `value`.
    pub(crate) fn replace(&mut self, start: u32, size: u32, value: &[u8]) -> Result<(), Full> {
        let length = self.bytes.len();
        let place = |at: u32| usize::try_from(at).map_or(length, |at| at.min(length));
        let range = place(start)..place(start.saturating_add(size));
        self.recount(
            length
                .saturating_sub(range.len())
                .saturating_add(value.len()),
        )?;
        self.bytes.splice(range, value.iter().copied());
        Ok(())
    }

    /// Takes all bytes.
    pub(crate) fn take(&mut self) -> Bytes {
        self.release();
        std::mem::take(&mut self.bytes).into()
    }

    fn recount(&self, length: usize) -> Result<(), Full> {
        let total = &self.kept.0;
        let others = total.get().saturating_sub(self.bytes.len());
        match others.checked_add(length) {
            Some(sum) if sum <= KEPT_LIMIT => {
                total.set(sum);
                Ok(())
            }
            _ => Err(Full),
        }
    }

    fn release(&self) {
        let total = &self.kept.0;
        total.set(total.get().saturating_sub(self.bytes.len()));
    }
}

impl Drop for RequestBuffer {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_can_be_replaced() {
        let kept = Rc::default();
        for (start, size, result) in [
            (0, 0, "XYabcdef"),
            (0, 6, "XY"),
            (0, u32::MAX, "XY"),
            (2, 2, "abXYef"),
            (6, 0, "abcdefXY"),
            (100, 100, "abcdefXY"),
            (u32::MAX, u32::MAX, "abcdefXY"),
            (4, 100, "abcdXY"),
        ] {
            let mut buffer = RequestBuffer::counted_in(&kept);
            buffer.append(b"abc").unwrap();
            buffer.append(b"def").unwrap();
            buffer.replace(start, size, b"XY").unwrap();
            assert_eq!(buffer.take(), result, "{start} {size}");
            assert_eq!(kept.0.get(), 0);
        }
    }

    #[test]
    fn all_buffers_together_are_bounded() {
        let kept = Rc::default();
        let half = vec![0; KEPT_LIMIT / 2];
        let mut one = RequestBuffer::counted_in(&kept);
        let mut two = RequestBuffer::counted_in(&kept);
        one.append(&half).unwrap();
        two.append(&half).unwrap();
        assert_eq!(two.append(b"x"), Err(Full));
        assert_eq!(two.replace(0, 1, b"xy"), Err(Full));
        assert_eq!(two.bytes().len(), half.len());
        two.replace(0, 2, b"x").unwrap();
        one.append(b"x").unwrap();
        drop(one);
        assert_eq!(kept.0.get(), half.len() - 1);
    }
}
