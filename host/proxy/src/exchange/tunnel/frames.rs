//! Finds the ends of WebSocket frames (RFC 6455, 5.2). It reads only their headers and copies nothing.

/// The position in the frames of one direction of a WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    position: FramePosition,
    is_closed: bool,
    is_in_message: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FramePosition {
    /// A frame has ended, or none has begun.
    #[default]
    Between,
    /// Before the byte with the mask bit and the short length.
    Length,
    /// In a long length.
    LongLength {
        left: u8,
        length: u64,
        is_masked: bool,
    },
    /// Before this many bytes of mask and payload.
    Payload { left: u64 },
}

/// The bits of the first byte that are the opcode.
const OPCODE: u8 = 0x0F;
/// The bit of the first byte that says that the frame is the last one of its message.
pub(super) const FINAL: u8 = 0x80;
/// The bit of the opcode of control frames, which may be sent between the frames of a message.
const CONTROL: u8 = 0x08;
/// The opcode of the frame that closes a WebSocket, after which its sender sends nothing more.
const CLOSE: u8 = 0x08;
/// The bit of the second byte that says that the frame is masked, as every frame of a client is.
pub(super) const MASKED: u8 = 0x80;
/// Bytes of a mask.
const MASK: u64 = 4;

impl Frames {
    /// Returns whether a frame has just ended.
    pub(super) fn is_between(self) -> bool {
        self.position == FramePosition::Between
    }

    /// Returns whether a close frame has begun.
    pub(super) fn is_closed(self) -> bool {
        self.is_closed
    }

    /// Returns whether a message has begun whose last frame has not. Of other frames, only control frames may be sent then.
    pub(super) fn is_in_message(self) -> bool {
        self.is_in_message
    }

    /// Advances by these bytes.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (_, after) = bytes
                .split_at_checked(self.pass_frame(bytes))
                .unwrap_or_default();
            bytes = after;
        }
    }

    /// Advances to the end of the current frame, or of the next one, and returns how many bytes those are.
    pub(super) fn pass_frame(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0_usize;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            passed = passed.saturating_add(self.step(rest));
            if self.is_between() {
                break;
            }
        }
        passed
    }

    /// Advances by one part of a frame: a byte of its header, or as much of its payload as there is.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let Some(&byte) = bytes.first() else {
            return 0;
        };
        // Usually both bytes of the header are there. This case is fast, because terminals send very many short frames.
        if let (FramePosition::Between, [_, second, ..]) = (self.position, bytes) {
            self.begin_frame(byte);
            self.position = after_length(*second);
            return 2;
        }
        self.position = match self.position {
            FramePosition::Between => {
                self.begin_frame(byte);
                FramePosition::Length
            }
            FramePosition::Length => after_length(byte),
            FramePosition::LongLength {
                left,
                length,
                is_masked,
            } => {
                let length = length << 8 | u64::from(byte);
                match left.saturating_sub(1) {
                    0 => before_payload(length, is_masked),
                    left => FramePosition::LongLength {
                        left,
                        length,
                        is_masked,
                    },
                }
            }
            FramePosition::Payload { left } => {
                let passed =
                    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.position = before_rest(left.saturating_sub(passed as u64));
                return passed;
            }
        };
        1
    }

    /// Notes the first byte of a frame.
    fn begin_frame(&mut self, byte: u8) {
        self.is_closed |= byte & OPCODE == CLOSE;
        if byte & CONTROL == 0 {
            self.is_in_message = byte & FINAL == 0;
        }
    }
}

/// Returns the position after the second byte of a header.
fn after_length(byte: u8) -> FramePosition {
    let is_masked = byte & MASKED != 0;
    let long = |left| FramePosition::LongLength {
        left,
        length: 0,
        is_masked,
    };
    match byte & !MASKED {
        126 => long(2),
        127 => long(8),
        short => before_payload(short.into(), is_masked),
    }
}

/// Returns the position before the payload and the mask in front of it. A frame with an impossible length never ends.
fn before_payload(length: u64, is_masked: bool) -> FramePosition {
    before_rest(length.saturating_add(if is_masked { MASK } else { 0 }))
}

fn before_rest(left: u64) -> FramePosition {
    match left {
        0 => FramePosition::Between,
        left => FramePosition::Payload { left },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns a frame of a client (masked) or a server.
    pub(crate) fn frame(opcode: u8, payload: &[u8], masked: bool) -> Vec<u8> {
        let mask_bit = if masked { MASKED } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(mask_bit | length as u8),
            length @ 126..=0xFFFF => {
                frame.push(mask_bit | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(mask_bit | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([0x88, 0x81, 0x82, 0x83]);
        }
        frame.extend(payload);
        frame
    }

    /// Generates frames with payloads that look like headers, of sizes around every limit of the format.
    pub(crate) fn some_frames(masked: bool) -> impl Strategy<Value = Vec<Vec<u8>>> {
        let size = prop_oneof![
            0..5_usize,
            120..130_usize,
            250..260_usize,
            Just(65_535_usize),
            Just(65_536_usize)
        ];
        let one = (0..3_u8, size, any::<u8>())
            .prop_map(move |(opcode, size, byte)| frame(opcode, &vec![byte; size], masked));
        proptest::collection::vec(one, 1..8)
    }

    proptest! {
        #[test]
        fn frames_end_where_they_end(frames in some_frames(false), masked in some_frames(true), cuts in proptest::collection::vec(1..70_000_usize, 1..20)) {
            for frames in [frames, masked] {
                let whole = frames.concat();
                let ends: Vec<usize> = frames
                    .iter()
                    .scan(0, |end, frame| { *end += frame.len(); Some(*end) })
                    .collect();
                // In parts of any size, the ends are found exactly where they are.
                let mut cuts = cuts.iter().cycle();
                let mut found = Frames::default();
                let mut at = 0;
                while at < whole.len() {
                    let part = &whole[at..whole.len().min(at + cuts.next().unwrap())];
                    found.pass(part);
                    at += part.len();
                    prop_assert_eq!(found.is_between(), ends.contains(&at));
                }
                // Frame by frame as well.
                let mut found = Frames::default();
                let mut at = 0;
                for end in ends {
                    at += found.pass_frame(&whole[at..]);
                    prop_assert_eq!(at, end);
                    prop_assert!(found.is_between() && !found.is_closed());
                }
            }
        }

        #[test]
        fn no_bytes_confuse_the_count(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 1..50_usize) {
            let (mut whole, mut parts) = (Frames::default(), Frames::default());
            whole.pass(&bytes);
            bytes.chunks(cut).for_each(|part| parts.pass(part));
            prop_assert_eq!(whole, parts);
        }
    }

    #[test]
    fn a_closing_frame_is_seen_with_its_first_byte() {
        let mut frames = Frames::default();
        frames.pass(&frame(1, b"\x88\x00", false));
        assert!(!frames.is_closed());
        frames.pass(&[0x88]);
        assert!(frames.is_closed() && !frames.is_between());
        frames.pass(&[0x00]);
        assert!(frames.is_closed() && frames.is_between());
    }

    #[test]
    fn a_message_lasts_until_its_last_frame() {
        let mut frames = Frames::default();
        let unfinished = |opcode: u8| {
            let mut frame = frame(opcode, b"part", false);
            frame[0] &= !FINAL;
            frame
        };
        for (sent, is_in_message) in [
            (frame(1, b"whole", false), false),
            (unfinished(1), true),
            (frame(9, b"ping", false), true),
            (unfinished(0), true),
            (frame(0, b"end", false), false),
            (unfinished(2), true),
            (frame(0, b"", false), false),
        ] {
            let (mut whole, mut bytes) = (frames, frames);
            whole.pass(&sent);
            sent.iter().for_each(|byte| bytes.pass(&[*byte]));
            assert_eq!(whole, bytes);
            assert_eq!(whole.is_in_message(), is_in_message, "{sent:?}");
            frames = whole;
        }
    }

    #[test]
    fn an_impossible_length_never_ends() {
        let mut frames = Frames::default();
        frames.pass(&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        frames.pass(&[0; 1000]);
        assert!(!frames.is_between());
    }
}

#[cfg(test)]
mod fuzz;
