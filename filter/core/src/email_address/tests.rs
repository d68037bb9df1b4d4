use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn an_ascii_address_keeps_everything_but_the_case_of_its_domain() {
    for (email, expected) in [
        ("alice@example.com", Some("alice@example.com")),
        ("Alice+x@EXAMPLE.com", Some("Alice+x@example.com")),
        (
            "a'b!#$%&*/=?^_`{|}~-.@x_y",
            Some("a'b!#$%&*/=?^_`{|}~-.@x_y"),
        ),
        ("a@XN--MLLER-KVA.example", Some("a@xn--mller-kva.example")),
        // No label of IDNA, and nevertheless a name that resolvers look up.
        ("a@xn--0.example", Some("a@xn--0.example")),
        ("", None),
        ("alice", None),
        ("@example.com", None),
        ("alice@", None),
        ("a@b@c", None),
        ("a@example.com.", None),
        ("a b@example.com", None),
        ("a,b@example.com", None),
        ("a;b@example.com", None),
        ("\"a\"@example.com", None),
        ("a<b>@example.com", None),
        ("a(b)@example.com", None),
        ("a\r\nb@example.com", None),
        ("a\0@example.com", None),
        ("a@example.com\t", None),
    ] {
        assert_eq!(canonical_email(email).as_deref(), expected, "{email:?}");
    }
    let local = "a".repeat(MAX_EMAIL - 6);
    assert!(canonical_email(&format!("{local}@x.com")).is_some());
    assert!(canonical_email(&format!("{local}a@x.com")).is_none());
}

#[test]
fn spellings_of_one_address_are_one() {
    for (canonical, spellings) in [
        (
            "jörg@xn--mller-kva.example",
            &[
                "jörg@müller.example",
                "jörg@MÜLLER.Example",
                "jörg@xn--mller-kva.example",
                "jörg@XN--mller-KVA.example",
            ][..],
        ),
        ("a@xn--mller-kva.example", &["a@müller.example"]),
        (
            "josé@example.com",
            &["josé@example.com", "josé@Example.COM"],
        ),
        (
            "用户@xn--fsqu00a.xn--fiqs8s",
            &["用户@例子.中国", "用户@xn--fsqu00a.中国"],
        ),
        (
            "अजय@xn--c2bd4bq1db8d.xn--11b5bs3a9aj6g",
            &["अजय@डाटामेल.परीक्षा"],
        ),
        ("квіточка@xn--p1ai.xn--p1ai", &["квіточка@рф.рф"]),
        (
            "a@xn--strae-oqa.example",
            &["a@straße.example", "a@STRAßE.example"],
        ),
        ("محمد@xn--mgbh0fb.example", &["محمد@مثال.example"]),
    ] {
        for spelling in spellings {
            let found = canonical_email(spelling);
            assert_eq!(found.as_deref(), Some(canonical), "{spelling:?}");
        }
    }
}

#[test]
fn different_addresses_stay_different() {
    let all = [
        "jorg@example.com",
        "jörg@example.com",
        "JÖRG@example.com",
        "joerg@example.com",
        "jørg@example.com",
        "jorg@exämple.com",
        "strasse@straße.example",
        "strasse@strasse.example",
        "straße@strasse.example",
        // A Cyrillic letter that looks like `a`.
        "\u{430}lice@example.com",
        "alice@example.com",
        "alice@ex\u{430}mple.com",
        "σας@example.com",
        "σασ@example.com",
        "ıgdir@example.com",
        "igdir@example.com",
    ];
    let mut seen = BTreeMap::new();
    for email in all {
        let canonical = canonical_email(email).unwrap();
        assert_eq!(seen.insert(canonical, email), None, "{email}");
    }
}

/// N-22: nothing that ends a header or a list, hides, turns the direction, or stands for another character.
#[test]
fn n_22_only_plain_characters_make_an_address() {
    for (name, odd) in [
        ("a comma", ','),
        ("a control", '\u{85}'),
        ("a line separator", '\u{2028}'),
        ("a no-break space", '\u{a0}'),
        ("an ideographic space", '\u{3000}'),
        ("a zero-width space", '\u{200b}'),
        ("a joiner", '\u{200d}'),
        ("a mark of direction", '\u{200f}'),
        ("an override of direction", '\u{202e}'),
        ("an isolate", '\u{2066}'),
        ("a soft hyphen", '\u{ad}'),
        ("a byte order mark", '\u{feff}'),
        ("a variation selector", '\u{fe0f}'),
        ("a grapheme joiner", '\u{34f}'),
        ("a filler", '\u{3164}'),
        ("a half-width filler", '\u{ffa0}'),
        ("a tag", '\u{e0061}'),
        ("a full-width @", '\u{ff20}'),
        ("a small @", '\u{fe6b}'),
        ("an ideographic full stop", '\u{3002}'),
        ("a full-width full stop", '\u{ff0e}'),
        ("a half-width full stop", '\u{ff61}'),
        ("a one dot leader", '\u{2024}'),
        ("a full-width comma", '\u{ff0c}'),
        ("a full-width letter", '\u{ff41}'),
        ("a mathematical letter", '\u{1d41a}'),
        ("a ligature", '\u{fb01}'),
        ("a superscript", '\u{b2}'),
        ("a circled digit", '\u{2460}'),
        ("a long s", '\u{17f}'),
        ("the Kelvin sign", '\u{212a}'),
        ("the Angstrom sign", '\u{212b}'),
        ("the Ohm sign", '\u{2126}'),
        ("a compatibility ideograph", '\u{f900}'),
        ("a Greek question mark", '\u{37e}'),
        ("a quotation mark", '\u{201d}'),
        ("a symbol", '\u{1f600}'),
        ("a private character", '\u{e000}'),
        ("a non-character", '\u{fdd0}'),
        ("an unassigned character", '\u{378}'),
        ("the replacement character", '\u{fffd}'),
    ] {
        for email in [
            format!("al{odd}ice@example.com"),
            format!("{odd}@example.com"),
            format!("jö{odd}rg@example.com"),
            format!("alice@ex{odd}ample.com"),
            format!("alice@müller{odd}example.com"),
            format!("alice{odd}example.com"),
            format!("alice@example.com{odd}"),
        ] {
            assert_eq!(canonical_email(&email), None, "{name}: {email:?}");
        }
    }
}

/// Providers and mail servers may take another normalization form for another user.
#[test]
fn n_22_an_address_in_another_form_is_none() {
    for email in [
        "jo\u{308}rg@example.com",
        "jose\u{301}@example.com",
        "a@mu\u{308}ller.example",
        "\u{915}\u{93c}\u{958}@example.com",
        "\u{1112}\u{1161}\u{11ab}@example.com",
    ] {
        assert_eq!(canonical_email(email), None, "{email:?}");
    }
    // The operator means the user with this address.
    let written = "jo\u{308}rg@mu\u{308}ller.example".to_owned();
    assert_eq!(normalize_email(written), "jörg@xn--mller-kva.example");
    assert_eq!(
        normalize_domain("MU\u{308}LLER.example"),
        "xn--mller-kva.example"
    );
}

#[test]
fn a_mark_has_a_letter_that_it_belongs_to() {
    for email in [
        "\u{301}alice@example.com",
        "a.\u{338}b@example.com",
        "a=\u{338}b@example.com",
        "alice@\u{301}example.com",
        "alice@example.\u{301}com",
    ] {
        assert_eq!(canonical_email(email), None, "{email:?}");
    }
}

#[test]
fn a_domain_follows_the_rules_of_idna() {
    for domain in [
        "-müller.example",
        "müller-.example",
        "mü--ller.example",
        "mü_ller.example",
        "mü ller.example",
        "müller..example",
        ".müller.example",
        "müller.example.",
        "müller.xn--0.example",
        // Two directions in one label.
        "אa1.example",
        "\u{5d0}\u{61}.example",
    ] {
        assert_eq!(canonical_domain(domain), None, "{domain}");
    }
    assert_eq!(
        canonical_domain(&format!("{}.example", "ü".repeat(64))),
        None
    );
    assert_eq!(canonical_domain(&"ü.".repeat(10_000)), None);
    assert_eq!(
        canonical_email(&format!("{}@example.com", "ü".repeat(160))),
        None
    );
}

#[test]
fn parts_are_folded_as_they_are_compared() {
    for (part, expected) in [
        ("admin-", "admin-"),
        ("Admin@EXAMPLE", "Admin@example"),
        ("@xn--MLLER-kva.example", "@xn--mller-kva.example"),
        ("Jo\u{308}rg@", "Jörg@"),
        ("jörg@xn--mller-kva.example", "jörg@müller.example"),
        ("@MÜLLER.example", "@müller.example"),
    ] {
        assert_eq!(fold_part(part), expected, "{part}");
    }
    assert_eq!(spell_in_unicode("a@xn--mller-kva.xn--0"), "a@müller.xn--0");
}

/// Characters that addresses may and may not have.
fn characters() -> impl Strategy<Value = String> {
    let plain =
        "[a-zA-Z0-9.@äöüÄÖÜßéσςςЖжиİıａ。＠用户न\u{300}-\u{30f}\u{212a}\u{200b}-\u{200f}-]{0,12}";
    prop_oneof![plain, any::<String>()]
}

proptest! {
    #[test]
    fn the_canonical_form_is_canonical(local in characters(), domain in characters()) {
        let email = format!("{local}@{domain}");
        if let Some(canonical) = canonical_email(&email) {
            prop_assert_eq!(canonical_email(&canonical), Some(canonical.clone()));
            prop_assert_eq!(canonical_email(&spell_in_unicode(&canonical)), Some(canonical.clone()));
            let (local, domain) = canonical.split_once('@').unwrap();
            prop_assert!(domain.is_ascii() && !domain.contains('@'));
            prop_assert!(!local.is_empty() && canonical.len() <= MAX_EMAIL);
            let has_odd = |c: char| c.is_control() || c.is_whitespace() || ",;\"<>()".contains(c);
            prop_assert!(!canonical.chars().any(has_odd), "{:?}", canonical);
        }
    }

    /// Two addresses have one canonical form only if they differ in the spelling of the domain.
    #[test]
    fn no_two_addresses_collide(one in characters(), other in characters()) {
        let address = |part: &str| canonical_email(&format!("{part}@example.com"));
        if let (Some(first), Some(second)) = (address(&one), address(&other)) {
            prop_assert_eq!(first == second, one == other, "{:?} {:?}", one, other);
        }
        if let (Some(first), Some(second)) = (canonical_domain(&one), canonical_domain(&other)) {
            let spell = |domain: &str| spell_in_unicode(&fold_domain(domain)).into_owned();
            prop_assert_eq!(first == second, spell(&one) == spell(&other), "{:?} {:?}", one, other);
        }
    }

    /// The rules for ASCII are those of the first version.
    #[test]
    fn ascii_is_as_it_was(email in "[ -~]{0,8}@[ -~]{0,8}") {
        let is_fit = |byte: u8| byte.is_ascii_graphic() && !b",\"<>();".contains(&byte);
        let (local, domain) = email.split_once('@').unwrap();
        let is_address = !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && !domain.ends_with('.')
            && email.bytes().all(is_fit);
        let expected = is_address.then(|| format!("{local}@{}", domain.to_ascii_lowercase()));
        prop_assert_eq!(canonical_email(&email), expected);
    }
}
