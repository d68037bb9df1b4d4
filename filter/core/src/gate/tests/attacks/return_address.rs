//! R rows: where a sign-in may end. The return address is the requested path itself; parameters that other proxies
//! use for it have no effect here.

use super::target::Target;
use crate::gate::step::Step;
use crate::gate::tests::world::{HTML, Jar};

/// Addresses at which other proxies read such parameters.
const PARAMETERS: [&str; 7] = [
    "rd",
    "redirect_uri",
    "pomerium_redirect_uri",
    "return_to",
    "redirect",
    "next",
    "target_link_uri",
];

impl Target {
    /// Requests this as path and as parameter, and follows the sign-in to its end.
    fn stays_here(&mut self, wanted: &str) {
        let encoded: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        let mut paths = vec![
            wanted.to_owned(),
            format!("/{wanted}"),
            format!("/x/{wanted}"),
        ];
        for name in PARAMETERS {
            paths.push(format!("/.pomerium/sign_in?{name}={encoded}"));
            paths.push(format!("/.pomerium/callback?{name}={encoded}&error=x"));
            paths.push(format!("/.pomerium/signed_out?{name}={encoded}"));
            paths.push(format!("/.pomerium/sign_out?{name}={encoded}"));
        }
        for path in paths {
            self.ends_here(&path);
            self.still_serves(&path);
        }
    }

    fn ends_here(&mut self, path: &str) {
        let mut jar = Jar::default();
        let Step::Reply(reply) = self.send("GET", path, &[HTML]) else {
            panic!("{path}: nobody is let through")
        };
        if reply.status != 303 {
            assert!((200..500).contains(&reply.status), "{path}: {reply:?}");
            // The head has an image, and no link that a user follows.
            let (_, shown) = reply.body.split_once("<body>").unwrap_or(("", &reply.body));
            let links = ["href=\"", "action=\""]
                .into_iter()
                .flat_map(|attribute| shown.split(attribute).skip(1));
            for link in links {
                let link = link.split('"').next().unwrap_or_default();
                assert!(is_here(link), "{path}: {link}");
            }
            return;
        }
        let location = reply.header("location").unwrap().to_owned();
        let provider = url::Url::parse(&location).unwrap();
        assert_eq!(
            provider.origin().ascii_serialization(),
            crate::testing::ISSUER,
            "{path}"
        );
        jar.take(&reply);
        let query: std::collections::BTreeMap<_, _> = provider.query_pairs().into_owned().collect();
        assert_eq!(
            query["redirect_uri"], "https://app.test/.pomerium/callback",
            "{path}"
        );
        let step = self.world.callback("app.test", &query["state"], &jar);
        let token = self
            .forge
            .honest(&self.world.claims("alice@corp.test", &query["nonce"]));
        let Step::Reply(reply) = self.answer(step, &token) else {
            panic!("{path}: a reply")
        };
        assert_eq!(reply.status, 303, "{path}");
        let location = reply.header("location").unwrap();
        assert!(is_here(location), "{path}: {location}");
        assert!(
            !location.contains(['\r', '\n', '\t', '\0']),
            "{path}: {location:?}"
        );
    }
}

/// Returns whether a browser on this host stays there, by the URL standard and by a stricter check.
fn is_here(location: &str) -> bool {
    let base = url::Url::parse("https://app.test/.pomerium/callback").unwrap();
    let joined = base.join(location).unwrap();
    let plain =
        location.starts_with('/') && !location.starts_with("//") && !location.contains('\\');
    joined.origin() == base.origin() && plain
}

#[test]
fn r_04_control_characters() {
    let mut target = Target::new();
    for wanted in [
        "/\t/evil.test",
        "/\n/evil.test",
        "/%09/evil.test",
        "/\u{b}/evil",
        "/\0/evil",
        "/%00/evil.test",
        "/%0a/evil.test",
    ] {
        target.stays_here(wanted);
    }
}

#[test]
fn r_05_userinfo() {
    let mut target = Target::new();
    for wanted in [
        "https://app.test@evil.test",
        "https://app.test:x@evil.test",
        "//app.test@evil.test",
    ] {
        target.stays_here(wanted);
    }
}

#[test]
fn r_06_suffix_and_prefix_of_the_host() {
    let mut target = Target::new();
    for wanted in [
        "https://app.test.evil.test",
        "https://evilapp.test",
        "https://app.test%2eevil.test",
    ] {
        target.stays_here(wanted);
    }
}

#[test]
fn r_08_scheme_tricks() {
    let mut target = Target::new();
    for wanted in [
        "https:evil.test",
        "https:/evil.test",
        "HTTPS://evil.test",
        "ht\ttps://evil.test",
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
    ] {
        target.stays_here(wanted);
    }
}

#[test]
fn r_09_unicode() {
    let mut target = Target::new();
    for wanted in [
        "//evil\u{3002}test",
        "\u{ff0f}\u{ff0f}evil.test",
        "//evil%E3%80%82test",
        "//\u{24d4}vil.test",
        "/%EF%BC%8F%EF%BC%8Fevil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/%5cevil.test",
        "/%2f/evil.test",
        "///evil.test",
        "////evil.test",
        "/.//evil.test",
        "/x/..//evil.test",
        "/;/evil.test",
    ] {
        target.stays_here(wanted);
    }
}

#[test]
fn r_11_crlf() {
    let mut target = Target::new();
    for wanted in [
        "/x\r\nSet-Cookie: a=b",
        "/x%0d%0aLocation: https://evil.test",
        "/x%E5%98%8A%E5%98%8D",
        "/x?y%0d%0aa:b",
        "/x?y\r\na:b",
    ] {
        target.stays_here(wanted);
    }
}

#[test]
fn r_13_own_endpoints() {
    let mut target = Target::new();
    let mut nested = "/.pomerium/sign_in".to_owned();
    for _ in 0..5 {
        let inner: String = url::form_urlencoded::byte_serialize(nested.as_bytes()).collect();
        nested = format!("/.pomerium/sign_in?rd={inner}");
    }
    for wanted in [
        "/.pomerium/callback",
        "/.pomerium/sign_out",
        "/.pomerium/sign_in",
        "/x/../.pomerium/callback",
        "/%2e/.pomerium/callback",
        &nested,
    ] {
        target.stays_here(wanted);
    }
}

#[test]
fn r_14_size_and_shape() {
    let mut target = Target::new();
    let long = format!("/{}", "a".repeat(64 * 1024));
    for wanted in [
        &*long,
        "",
        "?x",
        "#x",
        "x",
        "*",
        "https://app.test:8443/",
        "http://app.test/",
        "/?https://evil.test",
    ] {
        target.stays_here(wanted);
    }
}
