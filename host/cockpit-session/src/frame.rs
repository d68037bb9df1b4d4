//! Cockpit's frames: `<length in decimal>\n<channel>\n<body>`. A control message has an empty channel and a JSON body.

use std::io::{self, Read, Write};

/// Longest payload that is read. Cockpit's web service accepts a request head of 16 KiB at most, and the header that it
/// passes on is part of that.
pub(crate) const MAX_PAYLOAD: usize = 32 * 1024;

/// Decimal digits of [`MAX_PAYLOAD`].
const MAX_DIGITS: usize = 5;

/// The reason why a frame is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The peer has closed the connection, is too slow, or cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The length is missing.
    #[error("the frame does not begin with its length")]
    Length,
    /// More than [`MAX_PAYLOAD`].
    #[error("the frame is longer than {MAX_PAYLOAD} bytes")]
    TooLong,
    /// The message belongs to a channel, although none is open yet.
    #[error("the frame holds no control message")]
    NotControl,
}

/// Reads one control message and returns its JSON. It reads no byte beyond the frame: the following ones are for the
/// bridge.
pub(crate) fn read_control(input: &mut impl Read) -> Result<Vec<u8>, FrameError> {
    let mut payload = vec![0; read_length(input)?];
    input.read_exact(&mut payload)?;
    if payload.first() != Some(&b'\n') {
        return Err(FrameError::NotControl);
    }
    payload.remove(0);
    Ok(payload)
}

/// Reads the length byte by byte, because the number of digits is unknown.
fn read_length(input: &mut impl Read) -> Result<usize, FrameError> {
    let mut length = 0;
    for digits in 0..=MAX_DIGITS {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        match byte {
            [b'\n'] if digits > 0 => {
                return if length > MAX_PAYLOAD {
                    Err(FrameError::TooLong)
                } else {
                    Ok(length)
                };
            }
            [digit @ b'0'..=b'9'] => length = length * 10 + usize::from(digit - b'0'),
            _ => return Err(FrameError::Length),
        }
    }
    Err(FrameError::TooLong)
}

/// Writes one control message.
pub(crate) fn write_control(
    output: &mut impl Write,
    message: &serde_json::Value,
) -> io::Result<()> {
    let body = message.to_string();
    let length = body.len() + 1;
    output.write_all(format!("{length}\n\n{body}").as_bytes())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns its pieces one by one, as a socket may.
    struct Pieces<'a>(Vec<&'a [u8]>);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.first_mut() else {
                return Ok(0);
            };
            let count = piece.len().min(buffer.len());
            buffer[..count].copy_from_slice(&piece[..count]);
            *piece = &piece[count..];
            if piece.is_empty() {
                self.0.remove(0);
            }
            Ok(count)
        }
    }

    #[test]
    fn a_frame_may_be_split_anywhere_and_its_successor_stays_unread() {
        let bytes = b"13\n\n{\"a\": \"b\"}\n\n7\nsecond";
        for split in 1..bytes.len() {
            let (left, right) = bytes.split_at(split);
            let mut input = Pieces(vec![left, right]);
            assert_eq!(
                read_control(&mut input).unwrap(),
                b"{\"a\": \"b\"}\n\n",
                "split at {split}"
            );
            let mut rest = Vec::new();
            input.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"7\nsecond");
        }
        let mut single = Pieces(bytes.chunks(1).collect());
        assert_eq!(read_control(&mut single).unwrap(), b"{\"a\": \"b\"}\n\n");
    }

    #[test]
    fn what_is_no_frame_is_refused_at_once() {
        for (bytes, expected) in [
            (&b"\n\n{}"[..], "does not begin with its length"),
            (b"-1\n\n", "does not begin with its length"),
            (b" 3\n\n{}", "does not begin with its length"),
            (b"0x3\n\n{}", "does not begin with its length"),
            (b"GET / HTTP/1.1\r\n\r\n", "does not begin with its length"),
            (b"32769\n\n", "longer than"),
            (b"000003\n\n{}", "longer than"),
            (b"999999999999999999999999\n", "longer than"),
            (b"0\n", "no control message"),
            (b"5\n1:1\nx", "no control message"),
            (b"9\n\n{}", "failed to fill whole buffer"),
            (b"12", "failed to fill whole buffer"),
            (b"", "failed to fill whole buffer"),
        ] {
            let error = read_control(&mut Pieces(vec![bytes]))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(expected),
                "{:?}: {error}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn the_longest_frame_is_read() {
        let mut bytes = format!("{MAX_PAYLOAD}\n\n").into_bytes();
        bytes.resize(bytes.len() + MAX_PAYLOAD - 1, b'x');
        assert_eq!(
            read_control(&mut &bytes[..]).unwrap().len(),
            MAX_PAYLOAD - 1
        );
    }

    #[test]
    fn a_message_is_written_as_cockpit_expects_it() {
        let mut output = Vec::new();
        let message =
            serde_json::json!({"command": "authorize", "cookie": "session1", "challenge": "*"});
        write_control(&mut output, &message).unwrap();
        let text = String::from_utf8(output).unwrap();
        let (length, payload) = text.split_once('\n').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), payload.len());
        assert_eq!(payload, format!("\n{message}"));
    }
}
