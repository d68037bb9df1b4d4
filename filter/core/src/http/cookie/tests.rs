mod definition;

use definition::Stripped;
use proptest::prelude::*;

use super::*;

fn names() -> CookieNames {
    CookieNames::new("__Host-jetway")
}

fn own(header: &[u8]) -> OwnCookies<'_> {
    let mut found = OwnCookies::default();
    let names = names();
    names.read(&names.scan(header), &mut found);
    found
}

/// Returns what becomes of a header that has to be forwarded.
fn stripped(line: &CookieLine<'_>) -> Stripped {
    if !line.has_own() {
        return Stripped::Keep;
    }
    let mut others = Vec::new();
    line.append_others(&mut others);
    if others.is_empty() {
        Stripped::Remove
    } else {
        Stripped::Replace(others)
    }
}

#[test]
fn reads_session_and_attempts() {
    let found = own(b"a=b; __Host-jetway=S; __Host-jetway_attempt_x1=T; c");
    assert_eq!(found.sessions, [b"S"]);
    assert_eq!(found.attempts, [("x1", b"T".as_slice())]);
}

#[test]
fn all_of_ours_can_be_removed() {
    let header = b"a=b; __Host-jetway=S; __Host-jetway_1=P; __Host-jetway_attempt_x1=T; \
                   __Host-jetway_fragment_x1=F; __Host-jetway_sign_out=O; __Host-jetway_login_count=B; \
                   __Host-jetway_attempt_<x> y=T; __Host-jetway_attempt_\xc3\xa9=T";
    let lines = names().clear_all(&own(header));
    let removed: Vec<&str> = lines
        .iter()
        .map(|line| line.strip_suffix("=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"))
        .map(Option::unwrap)
        .collect();
    assert_eq!(
        removed,
        [
            "__Host-jetway",
            "__Host-jetway_1",
            "__Host-jetway_login_count",
            "__Host-jetway_attempt_x1",
            "__Host-jetway_fragment_x1",
            "__Host-jetway_sign_out",
        ]
    );
}

#[test]
fn long_sessions_come_in_parts() {
    let sealed = |length: usize| "x".repeat(length - 1) + "y";
    let none = OwnCookies::default();
    let set = |length| names().set_session(&sealed(length), 60, &none);
    for (length, count) in [
        (1, 1),
        (CHUNK, 1),
        (CHUNK + 1, 2),
        (2 * CHUNK, 2),
        (MAX_SESSION_VALUE, 3),
    ] {
        let lines = set(length).unwrap();
        assert_eq!(lines.len(), count, "{length}");
        let pairs: Vec<&str> = lines
            .iter()
            .map(|line| line.split(';').next().unwrap())
            .collect();
        assert!(pairs.iter().all(|pair| pair.len() < 4096));
        let header = pairs.join("; ");
        let found = own(header.as_bytes());
        let whole: Vec<_> = found.sessions().collect();
        assert_eq!(whole, [sealed(length).as_bytes()], "{length}");
        assert_eq!(names().clear_session(&found).len(), count);
    }
    assert!(set(MAX_SESSION_VALUE + 1).is_none());
}

#[test]
fn parts_that_do_not_fit_make_no_session() {
    for header in [
        "__Host-jetway=2.a",
        "__Host-jetway=2.a; __Host-jetway_2=b",
        "__Host-jetway=2.a; __Host-jetway_1=b; __Host-jetway_2=c",
        "__Host-jetway=2.a; __Host-jetway_1=b; __Host-jetway_1=c",
        "__Host-jetway=a; __Host-jetway_1=b",
        "__Host-jetway=1.a",
        "__Host-jetway=255.a; __Host-jetway_1=b",
        "__Host-jetway=-1.a; __Host-jetway_1=b",
        "__Host-jetway=.a; __Host-jetway_1=b",
        "__Host-jetway_1=b",
    ] {
        let found = own(header.as_bytes());
        assert!(found.has_session(), "{header}");
        assert_eq!(found.sessions().count(), 0, "{header}");
    }
    let shorter = own(b"__Host-jetway=2.a; __Host-jetway_1=b");
    let lines = names().set_session("x", 60, &shorter).unwrap();
    assert!(lines[1].starts_with("__Host-jetway_1=; ") && lines[1].contains("Max-Age=0;"));
}

#[test]
fn near_misses_are_not_the_session() {
    for header in [
        b"=__Host-jetway=evil".as_slice(),
        b"a=b;  __Host-jetway=evil",
        b"__host-jetway=evil",
        b"__Host-jetway =evil",
        b"__Host-jetway",
        b";;;",
        b"=",
        b"\xff=\xff",
    ] {
        assert!(own(header).sessions.is_empty(), "{header:?}");
    }
}

#[test]
fn a_flood_is_cut() {
    let header = b"__Host-jetway=x; ".repeat(100);
    assert_eq!(own(&header).sessions.len(), MAX_OWN_COOKIES);
}

#[test]
fn strips_ours_and_keeps_others_as_they_are() {
    let strip = |header: &[u8]| stripped(&names().scan(header));
    assert_eq!(strip(b"a=b; cockpit=\"x y\"; \xff"), Stripped::Keep);
    assert_eq!(
        strip(b"a=b; __Host-jetway=S; c=\xff=; d"),
        Stripped::Replace(b"a=b; c=\xff=; d".to_vec())
    );
    assert_eq!(
        strip(b"__Host-jetway=S; __Host-jetway_attempt_x=T"),
        Stripped::Remove
    );
    assert_eq!(
        strip(b"a=b;   __HOST-jetway =S"),
        Stripped::Replace(b"a=b".to_vec())
    );
    assert_eq!(strip(b"__Host-jetwayish=S"), Stripped::Keep);
}

#[test]
fn an_empty_line_adds_no_separator() {
    let mut joined = b"a=b".to_vec();
    names().scan(b"").append_others(&mut joined);
    assert_eq!(joined, b"a=b");
}

#[test]
fn upstreams_cannot_set_ours() {
    assert!(names().sets_own(b"__Host-jetway=evil; Path=/"));
    assert!(names().sets_own(b" __host-jetway_attempt_1=evil"));
    assert!(!names().sets_own(b"cockpit=1; Path=/; __Host-jetway=1"));
}

#[test]
fn attributes() {
    assert_eq!(
        set("__Host-s", "v", 9),
        "__Host-s=v; Path=/; Max-Age=9; Secure; HttpOnly; SameSite=Lax"
    );
    assert_eq!(
        clear("__Host-s"),
        "__Host-s=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
    );
}

/// Parts of headers in which cookies of the proxy's, near misses and unusual separators occur.
fn any_header() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        3 => Just(&b"; "[..]),
        3 => proptest::sample::select(vec![
            &b";"[..], b" ", b"=", b"\t", b"_", b"1", b"a=b", b"=c", b"\xff", b"2.", b".",
            b"_attempt_x=", b"_fragment_x=", b"_login_count=", b"_sign_out=", b"_1=", b"_2=",
        ]),
        2 => Just(&b"__Host-jetway"[..]),
        1 => Just(&b"__HOST-Jetway"[..]),
        1 => Just(&b"__Host-jetwa"[..]),
    ];
    proptest::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// One pass finds the same cookies, and leaves the same header, as the definition does in three.
    #[test]
    fn one_pass_does_what_the_definition_says(header in any_header()) {
        let names = names();
        let line = names.scan(&header);
        prop_assert_eq!(stripped(&line), definition::strip(&names, &header));
        let mut expected = OwnCookies::default();
        definition::read(&names, &header, &mut expected);
        prop_assert_eq!(format!("{:?}", own(&header)), format!("{expected:?}"));
    }

    /// Appended to another header, the other cookies follow a separator.
    #[test]
    fn appended_cookies_are_separated(header in any_header()) {
        let mut joined = b"first=1".to_vec();
        let names = names();
        names.scan(&header).append_others(&mut joined);
        let expected = match definition::strip(&names, &header) {
            Stripped::Keep if header.is_empty() => b"first=1".to_vec(),
            Stripped::Keep => [b"first=1; ", header.as_slice()].concat(),
            Stripped::Replace(rest) => [b"first=1; ", rest.as_slice()].concat(),
            Stripped::Remove => b"first=1".to_vec(),
        };
        prop_assert_eq!(joined, expected);
    }

    #[test]
    fn any_bytes_are_read_as_the_definition_says(header in proptest::collection::vec(any::<u8>(), 0..80)) {
        let names = names();
        prop_assert_eq!(stripped(&names.scan(&header)), definition::strip(&names, &header));
    }
}
