use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

/// Reads a header from bytes, and returns the bytes after it as well.
fn header(mut bytes: &[u8]) -> (Result<Option<ConnectionEnds>, HeaderError>, &[u8]) {
    let result = {
        let mut reading = std::pin::pin!(read(&mut bytes));
        match reading
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(result) => result,
            Poll::Pending => panic!("bytes that are there are not waited for"),
        }
    };
    (result, bytes)
}

fn ends(source: &str, destination: &str) -> ConnectionEnds {
    ConnectionEnds {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// Returns a header of version 2.
fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([version_and_command, family]);
    bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    bytes.extend(rest);
    bytes
}

fn addresses(ends: &ConnectionEnds) -> Vec<u8> {
    let octets = |end: &SocketAddr| match end.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut bytes = [octets(&ends.source), octets(&ends.destination)].concat();
    bytes.extend(ends.source.port().to_be_bytes());
    bytes.extend(ends.destination.port().to_be_bytes());
    bytes
}

#[test]
fn lines_of_version_1() {
    let four = ends("203.0.113.9:5555", "10.1.1.1:443");
    let six = ends("[2001:db8::9]:5555", "[2001:db8::1]:443");
    let mapped = ends("203.0.113.9:1", "10.1.1.1:2");
    for (line, expected) in [
        ("PROXY TCP4 203.0.113.9 10.1.1.1 5555 443\r\n", Some(four)),
        ("PROXY TCP6 2001:db8::9 2001:db8::1 5555 443\r\n", Some(six)),
        (
            "PROXY TCP6 ::ffff:203.0.113.9 ::ffff:10.1.1.1 1 2\r\n",
            Some(mapped),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    ] {
        let bytes = format!("{line}\x16\x03\x01");
        let (result, rest) = header(bytes.as_bytes());
        assert_eq!(result.unwrap(), expected, "{line}");
        assert_eq!(rest, b"\x16\x03\x01", "{line}");
    }
}

#[test]
fn lines_that_are_no_header() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE));
    for line in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03....",
        "PROXY TCP4 2001:db8::9 2001:db8::1 5555 443\r\n",
        "PROXY TCP6 203.0.113.9 10.1.1.1 5555 443\r\n",
        "PROXY TCP4 203.0.113.9 10.1.1.1 5555 443\n",
        "PROXY tcp4 203.0.113.9 10.1.1.1 5555 443\r\n",
        "PROXY TCP4 203.0.113.9 10.1.1.1 5555 65536\r\n",
        "PROXY TCP4 203.0.113.9 10.1.1.1 +555 443\r\n",
        "PROXY TCP4 203.0.113.9 10.1.1.1 5555\r\n",
        "PROXY TCP4 203.0.113.9 10.1.1.1 5555 443 \r\n",
        "PROXY TCP4  203.0.113.9 10.1.1.1 5555 443\r\n",
        "PROXY UDP4 203.0.113.9 10.1.1.1 5555 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\nxxxxxx\r\n",
        "proxy unknown\r\n",
        &long,
    ] {
        let (result, _) = header(line.as_bytes());
        assert!(
            matches!(result, Err(HeaderError::Malformed(_))),
            "{line:?}: {result:?}"
        );
    }
}

#[test]
fn headers_of_version_2() {
    let four = ends("203.0.113.9:5555", "10.1.1.1:443");
    let six = ends("[2001:db8::9]:5555", "[2001:db8::1]:443");
    let further = [addresses(&four), vec![4; 5_000]].concat();
    for (bytes, expected) in [
        (binary(0x21, 0x11, &addresses(&four)), Some(four)),
        (binary(0x21, 0x21, &addresses(&six)), Some(six)),
        (binary(0x21, 0x11, &further), Some(four)),
        (binary(0x20, 0x00, &[]), None),
        (binary(0x20, 0x11, &addresses(&four)), None),
        (binary(0x20, 0x12, &[1, 2]), None),
    ] {
        let bytes = [bytes, b"hello".to_vec()].concat();
        let (result, rest) = header(&bytes);
        assert_eq!(result.unwrap(), expected);
        assert_eq!(rest, b"hello");
    }
}

#[test]
fn bytes_that_are_no_header_of_version_2() {
    let four = addresses(&ends("203.0.113.9:5555", "10.1.1.1:443"));
    for (version_and_command, family) in [
        (0x31, 0x11),
        (0x11, 0x11),
        (0x22, 0x11),
        (0x21, 0x00),
        (0x21, 0x12),
        (0x21, 0x31),
        (0x21, 0x22),
    ] {
        let bytes = binary(version_and_command, family, &four);
        let (result, _) = header(&bytes);
        assert!(
            matches!(result, Err(HeaderError::Malformed(_))),
            "{version_and_command:x} {family:x}: {result:?}"
        );
    }
    let bytes = binary(0x21, 0x21, &four);
    assert!(header(&bytes).0.is_err(), "too short for its family");
}

fn any_ends() -> impl Strategy<Value = ConnectionEnds> {
    let four = any::<(u32, u16, u32, u16)>().prop_map(|(a, p, b, q)| ConnectionEnds {
        source: (Ipv4Addr::from(a), p).into(),
        destination: (Ipv4Addr::from(b), q).into(),
    });
    let six = any::<(u128, u16, u128, u16)>().prop_map(|(a, p, b, q)| ConnectionEnds {
        source: (Ipv6Addr::from(a), p).into(),
        destination: (Ipv6Addr::from(b), q).into(),
    });
    four.boxed().prop_union(six.boxed())
}

proptest! {
    #[test]
    fn what_was_written_is_read(ends in any_ends(), further in prop::collection::vec(any::<u8>(), 0..300)) {
        let is_four = ends.source.is_ipv4();
        let line = format!(
            "PROXY {} {} {} {} {}\r\n",
            if is_four { "TCP4" } else { "TCP6" },
            ends.source.ip(),
            ends.destination.ip(),
            ends.source.port(),
            ends.destination.port(),
        );
        let rest = [addresses(&ends), further.clone()].concat();
        let binary = binary(0x21, if is_four { 0x11 } else { 0x21 }, &rest);
        for bytes in [line.into_bytes(), binary] {
            let bytes = [bytes, further.clone()].concat();
            let (result, rest) = header(&bytes);
            prop_assert_eq!(result.unwrap(), Some(ConnectionEnds::new(ends.source, ends.destination)));
            prop_assert_eq!(rest, further.as_slice());
        }
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused(ends in any_ends(), cut in 0.0..1.0) {
        let family = if ends.source.is_ipv4() { 0x11 } else { 0x21 };
        let whole = binary(0x21, family, &[addresses(&ends), vec![0; 20]].concat());
        let cut = (whole.len() as f64 * cut) as usize;
        let (result, _) = header(&whole[..cut]);
        prop_assert!(matches!(result, Err(HeaderError::Broken(_))), "{result:?}");
    }

    #[test]
    fn reading_any_bytes_does_not_panic(
        beginning in prop_oneof![
            Just(Vec::new()),
            Just(b"PROXY ".to_vec()),
            Just(b"PROXY TCP4 ".to_vec()),
            Just(SIGNATURE.to_vec()),
            Just([SIGNATURE.as_slice(), &[0x21, 0x11]].concat()),
        ],
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = header(&[beginning, bytes].concat());
    }
}
