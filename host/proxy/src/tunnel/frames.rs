//! Where the frames of a websocket end (RFC 6455, 5.2). Only their headers are looked at, and nothing is copied.

/// How far one direction of a websocket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    place: Place,
    closed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// A frame has ended, or none has begun.
    #[default]
    Between,
    /// Before the byte with the mask bit and the short length.
    Length,
    /// In a long length.
    LongLength { left: u8, length: u64, masked: bool },
    /// Before so many bytes of mask and payload.
    Payload { left: u64 },
}

/// In a frame's first byte, its kind.
const OPCODE: u8 = 0x0F;
/// The kind of frame that closes a websocket, after which its sender says no more.
const CLOSE: u8 = 0x08;
/// In a frame's second byte, whether it is masked.
const MASKED: u8 = 0x80;
/// Bytes of a mask.
const MASK: u64 = 4;

impl Frames {
    /// Whether a frame has just ended.
    pub(super) fn is_between(self) -> bool {
        self.place == Place::Between
    }

    /// Whether a frame that closes the websocket has begun.
    pub(super) fn is_closed(self) -> bool {
        self.closed
    }

    /// Notes that these bytes passed.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (_, after) = bytes
                .split_at_checked(self.pass_frame(bytes))
                .unwrap_or_default();
            bytes = after;
        }
    }

    /// Notes the bytes up to the end of the current frame, or of the next one; the result is how many those are.
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

    /// One part of a frame: a byte of its header, or as much of its payload as there is.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let Some(&byte) = bytes.first() else {
            return 0;
        };
        // Both bytes of a header at once, as nearly always: terminals send very many short frames.
        if let (Place::Between, [_, second, ..]) = (self.place, bytes) {
            self.closed |= byte & OPCODE == CLOSE;
            self.place = length(*second);
            return 2;
        }
        self.place = match self.place {
            Place::Between => {
                self.closed |= byte & OPCODE == CLOSE;
                Place::Length
            }
            Place::Length => length(byte),
            Place::LongLength {
                left,
                length,
                masked,
            } => {
                let length = length << 8 | u64::from(byte);
                match left.saturating_sub(1) {
                    0 => payload(length, masked),
                    left => Place::LongLength {
                        left,
                        length,
                        masked,
                    },
                }
            }
            Place::Payload { left } => {
                let passed =
                    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.place = rest(left.saturating_sub(passed as u64));
                return passed;
            }
        };
        1
    }
}

fn length(byte: u8) -> Place {
    let masked = byte & MASKED != 0;
    let long = |left| Place::LongLength {
        left,
        length: 0,
        masked,
    };
    match byte & !MASKED {
        126 => long(2),
        127 => long(8),
        short => payload(short.into(), masked),
    }
}

/// The mask stands before the payload. A length beyond all bounds is one that never ends.
fn payload(length: u64, masked: bool) -> Place {
    rest(length.saturating_add(if masked { MASK } else { 0 }))
}

fn rest(left: u64) -> Place {
    match left {
        0 => Place::Between,
        left => Place::Payload { left },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as a client (masked) or a server writes it.
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

    /// Frames with payloads that look like headers, of sizes around every border of the format.
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
                // In parts of any size, the ends are seen exactly where they are.
                let mut cuts = cuts.iter().cycle();
                let mut found = Frames::default();
                let mut at = 0;
                while at < whole.len() {
                    let part = &whole[at..whole.len().min(at + cuts.next().unwrap())];
                    found.pass(part);
                    at += part.len();
                    prop_assert_eq!(found.is_between(), ends.contains(&at));
                }
                // And one after the other.
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
    fn an_impossible_length_never_ends() {
        let mut frames = Frames::default();
        frames.pass(&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        frames.pass(&[0; 1000]);
        assert!(!frames.is_between());
    }
}

#[cfg(test)]
mod fuzz;
