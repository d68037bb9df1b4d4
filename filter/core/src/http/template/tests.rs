use proptest::prelude::*;

use super::*;

/// Shows the parts: references in angle brackets.
fn shape(text: &str) -> String {
    let shape = Template::parse(text).render(|reference, into| {
        into.extend_from_slice(format!("<{reference:?}>").as_bytes());
    });
    String::from_utf8(shape).unwrap()
}

#[test]
fn references_in_every_spelling() {
    for (text, shown) in [
        ("$pomerium.jwt", "<Jwt>"),
        ("Bearer ${pomerium.jwt}", "Bearer <Jwt>"),
        ("a ${ \tpomerium . jwt } b", "a <Jwt> b"),
        ("${pomerium[\"jwt\"]}", "<Jwt>"),
        ("$pomerium.jwt$pomerium.jwt", "<Jwt><Jwt>"),
        (
            "$pomerium.client_cert_fingerprint",
            "<CertificateFingerprint>",
        ),
        ("${pomerium.client_cert_san_dns}", "<CertificateDns>"),
        ("${pomerium.client_cert_san_email}", "<CertificateEmail>"),
        (
            "${pomerium.request.headers[\"X-Access-Token\"]}",
            "<RequestHeader(\"x-access-token\")>",
        ),
        (
            "$pomerium.request.headers.X-Access-Token!",
            "<RequestHeader(\"x-access-token\")>!",
        ),
        (
            "${pomerium.request.headers[\"a\\\"b\"]}",
            "<RequestHeader(\"a\\\"b\")>",
        ),
    ] {
        assert_eq!(shape(text), shown, "{text}");
    }
}

#[test]
fn dollars_and_what_is_no_reference_are_text() {
    for (text, shown) in [
        ("x $$ y $$$$", "x $ y $$"),
        ("$$pomerium.jwt", "$pomerium.jwt"),
        ("5$", "5$"),
        ("$ {pomerium.jwt}", "$ {pomerium.jwt}"),
        ("${", "${"),
        ("${}", "${}"),
        ("${pomerium.jwt", "${pomerium.jwt"),
        ("${pomerium.}", "${pomerium.}"),
        ("$pomerium.", "$pomerium."),
        ("${x[\"", "${x[\""),
        ("${x[y]}", "${x[y]}"),
        ("${x[\"y\"}", "${x[\"y\"}"),
        ("${a.${pomerium.jwt}}", "${a.<Jwt>}"),
        ("", ""),
        ("\u{e9}$\u{e9}", "\u{e9}$\u{e9}"),
    ] {
        assert_eq!(shape(text), shown, "{text}");
    }
}

#[test]
fn unknown_names_are_told() {
    let template =
        Template::parse("$pomerium.access_token ${pomerium.jwt} ${pomerium.id_token.x}$1");
    let unknown: Vec<&str> = template.unknown_references().collect();
    assert_eq!(
        unknown,
        ["pomerium.access_token", "pomerium.id_token.x", "1"]
    );
}

#[test]
fn debug_shows_no_text() {
    let template = Template::parse("Basic c2VjcmV0 ${pomerium.jwt}");
    assert_eq!(format!("{template:?}"), "Template[Jwt]");
}

proptest! {
    /// A rendered template is one header value for any configuration and any client.
    #[test]
    fn nothing_ends_the_header(text in "[a-z${}.\"\\[\\]\\\\ \r\n\t\u{e9}\0]{0,40}", value in proptest::collection::vec(any::<u8>(), 0..20)) {
        let rendered = Template::parse(&text).render(|_, into| into.extend_from_slice(&value));
        prop_assert!(rendered.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f)));
    }

    /// A value without dollars stays.
    #[test]
    fn a_literal_stays(text in "[ -#%-~]{0,30}") {
        let rendered = Template::parse(&text).render(|_, _| unreachable!());
        prop_assert_eq!(rendered, text.trim().as_bytes());
    }
}
