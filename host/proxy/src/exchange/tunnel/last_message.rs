//! The last message to a client: by it, the plugin tells a page of Cockpit why its WebSocket closes.

use jetway_core::contract::LAST_MESSAGE_PROPERTY;

use super::frames::{FINAL, Frames};
use crate::wasm::Stream;

/// The opcode of a text message.
const TEXT: u8 = 0x01;
/// The longest last message: a length of one byte can state no more (RFC 6455, 5.2). Cockpit's is a third of it.
const LONGEST: usize = 125;

/// A text message of at most [`LONGEST`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastMessage(Vec<u8>);

impl LastMessage {
    /// Reads the message that the plugin has attached to a stream.
    pub(super) fn read(stream: &Stream) -> Option<Self> {
        Self::new(stream.attached_property(LAST_MESSAGE_PROPERTY)?)
    }

    /// Creates a message. Browsers close a WebSocket with an error when a text is not UTF-8.
    pub(super) fn new(text: Vec<u8>) -> Option<Self> {
        let is_valid = text.len() <= LONGEST && std::str::from_utf8(&text).is_ok();
        is_valid.then_some(Self(text))
    }

    /// Returns the frame of the message, unless the frame would be within another frame or message, or after a close frame.
    pub(super) fn encode_after(&self, written: Frames) -> Option<Vec<u8>> {
        let is_possible = written.is_between() && !written.is_in_message() && !written.is_closed();
        let length = u8::try_from(self.0.len()).ok().filter(|_| is_possible)?;
        Some([&[FINAL | TEXT, length], self.0.as_slice()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::tests::frame;
    use super::*;

    fn after(sent: &[u8]) -> Option<Vec<u8>> {
        let mut written = Frames::default();
        written.pass(sent);
        LastMessage::new(b"\n{}".to_vec())
            .unwrap()
            .encode_after(written)
    }

    #[test]
    fn the_message_is_a_frame_of_its_own() {
        let expected = Some(b"\x81\x03\n{}".to_vec());
        assert_eq!(after(b""), expected);
        assert_eq!(after(&frame(2, &[7; 300], false)), expected);
        assert_eq!(after(&frame(9, b"ping", false)), expected);
    }

    #[test]
    fn the_message_is_in_no_frame_and_no_message_and_after_no_close() {
        let whole = frame(1, b"whole", false);
        for cut in 1..whole.len() {
            assert_eq!(after(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(after(b"\x01\x04part"), None, "its message goes on");
        assert_eq!(after(b"\x01\x04part\x89\x00"), None, "a ping ends none");
        assert_eq!(after(&frame(8, b"\x03\xe8", false)), None);
    }

    #[test]
    fn only_short_texts_are_messages() {
        assert!(LastMessage::new(vec![b'a'; LONGEST]).is_some());
        assert!(LastMessage::new(vec![b'a'; LONGEST + 1]).is_none());
        assert!(LastMessage::new(vec![0xff]).is_none());
    }
}
