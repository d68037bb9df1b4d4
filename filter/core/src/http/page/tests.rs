use super::*;
use crate::config::Contact;

fn shades(light: &str, dark: &str) -> Shades {
    Shades {
        light: Colour::read(light),
        dark: Colour::read(dark),
    }
}

/// The value of a custom property, the last that is set: by light or by dark.
fn property(style: &str, name: &str, dark: bool) -> Colour {
    let start = format!("{name}:");
    let blocks = style.lines().filter(|line| line.contains(":root{"));
    let mut values = blocks
        .filter(|line| dark || !line.starts_with("@media"))
        .filter_map(|line| {
            // No name of another property ends with `--accent:`.
            let place = line
                .find(&format!("{{{start}"))
                .or_else(|| line.find(&format!(";{start}")))?;
            let value = &line[place + 1 + start.len()..];
            Colour::read(&value[..value.find([';', '}'])?])
        });
    values.next_back().unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn everything_can_be_read_by_light_and_by_dark() {
    let yellow = Branding {
        primary: shades("#ffee00", ""),
        ..Branding::default()
    };
    let night = Branding {
        primary: shades("#001133", "#000010"),
        secondary: shades("#777777", ""),
        ..Branding::default()
    };
    for branding in [Branding::default(), yellow, night] {
        let style = Theme::new(&branding).style;
        for dark in [false, true] {
            let colour = |name| property(&style, name, dark);
            for (text, on) in [
                ("--ink", "--paper"),
                ("--ink", "--card"),
                ("--dim", "--card"),
                ("--on-accent", "--accent"),
            ] {
                let contrast = colour(text).contrast(colour(on));
                assert!(contrast >= 4.5, "{text} on {on}, dark {dark}: {contrast}");
            }
        }
    }
}

#[test]
fn the_operators_colours_win() {
    let style = Theme::new(&Branding {
        primary: shades("#010101", "#fefefe"),
        secondary: shades("", "#123456"),
        ..Branding::default()
    })
    .style;
    for (name, dark, value) in [
        ("--accent", false, "#010101"),
        ("--accent", true, "#fefefe"),
        ("--stripe", false, "#010101"),
        ("--stripe", true, "#123456"),
        ("--on-accent", true, "#000000"),
    ] {
        assert_eq!(property(&style, name, dark).to_string(), value, "{name}");
    }
}

#[test]
fn only_this_style_and_inline_pictures_are_allowed() {
    for branding in [
        Branding::default(),
        Branding {
            primary: shades("#010101", ""),
            ..Branding::default()
        },
    ] {
        let look = Theme::new(&branding);
        let html = look.render(Page::default());
        let style = html.split_once("<style>").unwrap().1;
        let style = style.split_once("</style>").unwrap().0;
        let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
        let [(_, policy), ..] = look.headers(Some("https://idp.test"));
        assert_eq!(
            policy,
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self' https://idp.test; \
                 frame-ancestors 'none'; base-uri 'none'"
            )
        );
    }
}

#[test]
fn no_value_becomes_markup() {
    const EVIL: &str = "\"><script>'&";
    let look = Theme::new(&Branding {
        name: Some(EVIL.to_owned()),
        first_paragraph: Some(EVIL.to_owned()),
        contact: Some(Contact {
            text: EVIL.to_owned(),
            address: EVIL.to_owned(),
        }),
        ..Branding::default()
    });
    let items = [Item {
        address: EVIL.to_owned(),
        name: EVIL.to_owned(),
        text: EVIL.to_owned(),
    }];
    let html = look.render_refusal(Page {
        title: EVIL,
        text: EVIL,
        note: EVIL,
        lead: "",
        host: EVIL,
        account: EVIL,
        reasons: EVIL,
        facts: &[(EVIL, EVIL.to_owned())],
        list: Some(List {
            title: EVIL,
            text: EVIL,
            items: &items,
        }),
        details: Some(Details {
            summary: EVIL,
            text: EVIL,
            facts: &[(EVIL.to_owned(), EVIL.to_owned())],
        }),
        sign_out: EVIL,
        form: Some(Form {
            action: EVIL,
            name: EVIL,
            value: EVIL,
            button: EVIL,
        }),
        clear_cookies: true,
        link: Some((EVIL, EVIL)),
        script: Some(Script {
            source: "void 0",
            argument: EVIL,
        }),
        request_id: EVIL,
    });
    assert!(!html.contains("\">\"") && !html.contains("'&"), "{html}");
    // The page's own script, with a value in its attribute.
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    assert!(html.contains(">void 0</script>"), "{html}");
    assert_eq!(html.matches("script").count(), 33, "{html}");
}

#[test]
fn a_page_names_the_site_or_else_the_host() {
    let page = Page {
        title: "A title",
        host: "app.test:8443",
        ..Page::default()
    };
    let html = Theme::default().render(page);
    for part in [
        "<title>A title – app.test:8443</title>",
        "<p class=\"site\">app.test:8443</p>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let named = Theme::new(&Branding {
        name: Some("Lab".to_owned()),
        ..Branding::default()
    });
    let html = named.render(page);
    assert!(html.contains("<title>A title – Lab</title>"), "{html}");
    assert!(!html.contains("app.test"), "{html}");
}

#[test]
fn a_page_has_one_main_heading_and_a_language() {
    let html = Theme::default().render(Page {
        title: "A title",
        request_id: "id-1",
        ..Page::default()
    });
    for part in [
        "<html lang=\"en\">",
        "<title>A title</title>",
        "<main>",
        "<h1>A title</h1>",
        "Request id id-1",
        "width=device-width",
        "<link rel=\"icon\" href=\"data:,\">",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert_eq!(html.matches("<h1").count(), 1);
}
