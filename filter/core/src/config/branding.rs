//! Reads how Jetway's pages look.

use serde_json::Value;

use crate::config::file_map::FileMap;
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::http::colour::Colour;

/// The longest image, as a `data:` URL: every page contains it, and every worker keeps it.
pub const MAX_IMAGE: usize = 64 * 1024;
/// The longest name of the site, in characters: it must fit on one line.
const MAX_NAME: usize = 80;
/// The longest paragraph for error pages, in characters.
const MAX_PARAGRAPH: usize = 1000;
/// The longest contact, in characters.
const MAX_CONTACT: usize = 254;

/// The prefixes of an image's `data:` URL.
const IMAGES: [&str; 7] = [
    "data:image/png;base64,",
    "data:image/svg+xml;base64,",
    "data:image/jpeg;base64,",
    "data:image/webp;base64,",
    "data:image/gif;base64,",
    "data:image/x-icon;base64,",
    "data:image/vnd.microsoft.icon;base64,",
];

/// How Jetway's pages look, and the operator's strings on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Branding {
    /// The name of the site, at the top of each page (`page_name`).
    pub name: Option<String>,
    /// The contact for help (`page_contact`).
    pub contact: Option<Contact>,
    /// The logo at the top of each page (`logo_url`, `logo_file`), as a `data:` URL.
    pub logo: Option<String>,
    /// The icon in the browser's tab (`favicon_url`, `favicon_file`), as a `data:` URL.
    pub favicon: Option<String>,
    /// The first paragraph of error pages (`error_message_first_paragraph`).
    pub first_paragraph: Option<String>,
    /// The colours of buttons (`primary_color`, `darkmode_primary_color`).
    pub primary: Shades,
    /// The colours of the stripe at the top (`secondary_color`, `darkmode_secondary_color`).
    pub secondary: Shades,
}

/// A colour for each colour scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shades {
    /// The colour of the light scheme, and of the dark scheme unless that has its own.
    pub light: Option<Colour>,
    /// The colour of the dark scheme.
    pub dark: Option<Colour>,
}

/// A contact for help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The contact as written in the file.
    pub text: String,
    /// The URL of the link.
    pub address: String,
}

impl Branding {
    pub(super) fn read(file: &FileMap<'_>, findings: &mut Findings) -> Self {
        Self {
            name: line(file, "page_name", MAX_NAME, findings),
            contact: contact(file, findings),
            logo: image(file, "logo", findings),
            favicon: image(file, "favicon", findings),
            first_paragraph: line(
                file,
                "error_message_first_paragraph",
                MAX_PARAGRAPH,
                findings,
            ),
            primary: Shades {
                light: colour(file, "primary_color", findings),
                dark: colour(file, "darkmode_primary_color", findings),
            },
            secondary: Shades {
                light: colour(file, "secondary_color", findings),
                dark: colour(file, "darkmode_secondary_color", findings),
            },
        }
    }
}

/// Reads a string without line breaks or other control characters.
fn line(file: &FileMap<'_>, key: &str, most: usize, findings: &mut Findings) -> Option<String> {
    let text = file.non_empty_string(key, findings)?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() > most {
        findings
            .problem(
                &file.path_of(key),
                format!("`{key}` is longer than {most} characters"),
            )
            .help("shorten it");
        return None;
    }
    if text.contains(char::is_control) {
        findings
            .problem(
                &file.path_of(key),
                format!("`{key}` contains control characters"),
            )
            .help("write plain text");
        return None;
    }
    (!text.is_empty()).then_some(text)
}

fn colour(file: &FileMap<'_>, key: &str, findings: &mut Findings) -> Option<Colour> {
    let text = file.non_empty_string(key, findings)?;
    let colour = Colour::read(text.trim());
    if colour.is_none() {
        findings
            .problem(
                &file.path_of(key),
                format!("`{key}` is not a colour: {}", quoted(&text)),
            )
            .help("write for example `\"#0b57d0\"`, in quotes: in YAML `#` begins a comment");
    }
    colour
}

fn contact(file: &FileMap<'_>, findings: &mut Findings) -> Option<Contact> {
    const KEY: &str = "page_contact";
    let text = line(file, KEY, MAX_CONTACT, findings)?;
    let address = contact_address(&text);
    if address.is_none() {
        findings
            .problem(
                &file.path_of(KEY),
                format!(
                    "`{KEY}` is neither an email address nor an https URL: {}",
                    quoted(&text)
                ),
            )
            .help("write for example `help@example.com` or `https://help.example.com/`");
    }
    Some(Contact {
        address: address?,
        text,
    })
}

fn contact_address(text: &str) -> Option<String> {
    if let Ok(url) = url::Url::parse(text)
        && url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
    {
        return Some(url.into());
    }
    let (local, domain) = text
        .strip_prefix("mailto:")
        .unwrap_or(text)
        .split_once('@')?;
    let fits = |part: &str, more: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !part.is_empty() && part.chars().all(good)
    };
    // `?`, `&` and `%` are refused: they would add fields to the message.
    (fits(local, ".+-_") && fits(domain, ".-")).then(|| format!("mailto:{local}@{domain}"))
}

/// Reads `KEY_url`, which must be the image itself; the proxy has replaced `KEY_file` by it.
fn image(file: &FileMap<'_>, key: &str, findings: &mut Findings) -> Option<String> {
    let (url_key, file_key) = (format!("{key}_url"), format!("{key}_file"));
    refuse_file(file, &file_key, findings);
    let address = file.non_empty_string(&url_key, findings)?;
    let key_path = file.path_of(&url_key);
    let help =
        || format!("write `{file_key}` with the path of a PNG, SVG, JPEG, WebP, GIF or ICO file");
    let elsewhere = ["https://", "http://", "/"];
    if elsewhere.iter().any(|start| address.starts_with(start)) {
        findings
            .warning(
                &key_path,
                format!("`{url_key}` has no effect: pages load nothing from other hosts"),
            )
            .help(help());
        return None;
    }
    match refusal_of(&address) {
        None => Some(address),
        Some(refusal) => {
            findings
                .problem(&key_path, format!("`{url_key}` {refusal}"))
                .help(help());
            None
        }
    }
}

/// Returns why a URL is not an image that a page can contain.
fn refusal_of(address: &str) -> Option<String> {
    let content = IMAGES.iter().find_map(|start| address.strip_prefix(start));
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    match content {
        _ if address.len() > MAX_IMAGE => Some(format!("is longer than {} KiB", MAX_IMAGE / 1024)),
        Some(content) if !content.is_empty() && content.bytes().all(is_digit) => None,
        Some(_) => Some("is not in base64".to_owned()),
        None => Some("is not the `data:` URL of an image".to_owned()),
    }
}

/// Reports a key that names a file: the proxy replaces it by the image before, because the module cannot read files.
fn refuse_file(file: &FileMap<'_>, key: &str, findings: &mut Findings) {
    if file.value(key).is_some_and(|value| *value != Value::Null) {
        let key_path: KeyPath = file.path_of(key);
        findings
            .problem(
                &key_path,
                format!("`{key}` names a file, and the module cannot read files"),
            )
            .help("generate the configuration by `jetway envoy-config`, which includes the image");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::GLOBAL;
    use serde_json::json;

    fn read(value: &Value) -> (Branding, Findings) {
        let mut findings = Findings::default();
        let map = value.as_object().unwrap();
        let file = FileMap::open(map, KeyPath::root(), GLOBAL, &mut findings);
        (Branding::read(&file, &mut findings), findings)
    }

    #[test]
    fn a_whole_branding_is_read() {
        let (branding, findings) = read(&json!({
            "page_name": "Lab  Net", "page_contact": "help@lab.test", "primary_color": "#07f",
            "darkmode_secondary_color": "#010203", "logo_url": "data:image/png;base64,AAAA",
            "favicon_url": "data:image/svg+xml;base64,AAAA",
            "error_message_first_paragraph": "Ask\nAda.",
        }));
        assert!(
            findings.problems().is_empty() && findings.warnings().is_empty(),
            "{findings:?}"
        );
        assert_eq!(branding.name.as_deref(), Some("Lab Net"));
        assert_eq!(branding.contact.unwrap().address, "mailto:help@lab.test");
        assert_eq!(branding.primary.light, Colour::read("#0077ff"));
        assert_eq!(branding.secondary.dark, Colour::read("#010203"));
        assert_eq!(branding.first_paragraph.as_deref(), Some("Ask Ada."));
        assert!(branding.logo.is_some() && branding.favicon.is_some());
    }

    #[test]
    fn what_no_page_can_show_is_a_problem() {
        for (key, value) in [
            ("primary_color", "red"),
            ("darkmode_secondary_color", "#12"),
            ("page_name", "x\u{1}"),
            ("page_contact", "javascript:alert(1)"),
            ("page_contact", "http://help.test/"),
            ("page_contact", "a@b?subject=x"),
            ("page_contact", "https://a:b@c.test/"),
            ("logo_url", "data:text/html;base64,AAAA"),
            ("logo_url", "data:image/png;base64,\"><script>"),
            ("favicon_url", "javascript:1"),
            ("logo_file", "/etc/logo.png"),
        ] {
            let (_, findings) = read(&json!({ key: value }));
            assert_eq!(findings.problems().len(), 1, "{key}: {value}");
            assert!(findings.problems()[0].help.is_some());
        }
        for (key, length) in [
            ("page_name", 81),
            ("error_message_first_paragraph", 1001),
            ("logo_url", MAX_IMAGE + 1),
        ] {
            let (_, findings) = read(&json!({ key: "x".repeat(length) }));
            assert_eq!(findings.problems().len(), 1, "{key}");
        }
    }

    #[test]
    fn an_image_elsewhere_is_left_out_and_said() {
        let (branding, findings) = read(&json!({"logo_url": "https://cdn.test/logo.png"}));
        assert_eq!(branding, Branding::default());
        assert!(
            findings.warnings()[0]
                .help
                .as_ref()
                .unwrap()
                .contains("logo_file")
        );
    }
}
