//! The pages of the proxy itself. They are the same in the module, in the bundled host and in Envoy.

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::config::{Branding, Shades};
use crate::http::colour::Colour;

/// The style sheet of the pages, which the operator's colours follow.
const STYLE: &str = include_str!("../../templates/style.css");
/// An empty icon: without one, browsers request `/favicon.ico`, which belongs to the application.
const NO_PICTURE: &str = "data:,";

/// The name of the address of a request among the facts of a page.
pub const ADDRESS: &str = "Address";

/// The appearance of pages, made once for a configuration.
#[derive(Clone, Debug)]
pub struct Theme {
    style: String,
    /// `style-src` of the Content-Security-Policy.
    style_source: String,
    branding: Branding,
}

/// The content of one page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// Title and main heading.
    pub title: &'a str,
    /// One sentence.
    pub text: &'a str,
    /// Further sentences.
    pub note: &'a str,
    /// The operator's own paragraph, on refusals.
    pub lead: &'a str,
    /// The host of the request, at the top of the page unless the site has a name; empty without a valid host.
    pub host: &'a str,
    /// The account that is signed in.
    pub account: &'a str,
    /// Why the policy has denied the request.
    pub reasons: &'a str,
    /// Names and values.
    pub facts: &'a [(&'a str, String)],
    /// A list of links.
    pub list: Option<List<'a>>,
    /// Names and values for engineers, which the page shows after a click.
    pub details: Option<Details<'a>>,
    /// The text of a button that signs out; empty without one.
    pub sign_out: &'a str,
    /// A form with a button.
    pub form: Option<Form<'a>>,
    /// Whether there is a button to delete the cookies of the site.
    pub clear_cookies: bool,
    /// Address and text of a link; an empty address reloads the page.
    pub link: Option<(&'a str, &'a str)>,
    /// A script, which the Content-Security-Policy of the page has to allow.
    pub script: Option<Script<'a>>,
    /// The id with which the operator finds the request.
    pub request_id: &'a str,
}

/// A form with one hidden field and a button, which is sent to this site.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// Path to which it is sent.
    pub action: &'a str,
    /// Name of the field.
    pub name: &'a str,
    /// Value of the field.
    pub value: &'a str,
    /// Text of the button.
    pub button: &'a str,
}

/// A script of a page.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// The source: a constant, so that nothing of a request can become a part of it.
    pub source: &'static str,
    /// The value of the attribute `data-argument`, which the script reads.
    pub argument: &'a str,
}

/// A list with a heading.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// The heading.
    pub title: &'a str,
    /// A sentence about the list.
    pub text: &'a str,
    /// Its items.
    pub items: &'a [Item],
}

/// A part of a page that opens by a click.
#[derive(Clone, Copy, Debug)]
pub struct Details<'a> {
    /// The words that are always shown.
    pub summary: &'a str,
    /// A sentence about the values.
    pub text: &'a str,
    /// Names and values.
    pub facts: &'a [(String, String)],
}

/// An item of a list: a link and a few words.
#[derive(Clone, Debug)]
pub struct Item {
    /// Address of the link.
    pub address: String,
    /// Text of the link.
    pub name: String,
    /// A few words after the link.
    pub text: String,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Sheet<'a> {
    style: &'a str,
    site: &'a str,
    logo: &'a str,
    favicon: &'a str,
    contact: &'a str,
    contact_address: &'a str,
    page: Page<'a>,
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(&Branding::default())
    }
}

impl Theme {
    /// Creates the theme of a configuration.
    #[must_use]
    pub fn new(branding: &Branding) -> Self {
        let style = format!("{STYLE}{}", render_colours(branding));
        let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
        Self {
            style,
            style_source: format!("'sha256-{hash}'"),
            branding: branding.clone(),
        }
    }

    /// Returns the style sheet, for pages with another template.
    pub(crate) fn style(&self) -> &str {
        &self.style
    }

    /// Returns the source that allows the style sheet in a Content-Security-Policy.
    pub(crate) fn style_source(&self) -> &str {
        &self.style_source
    }

    /// Renders a page as HTML.
    #[must_use]
    pub fn render(&self, page: Page<'_>) -> String {
        let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
        let (name, logo) = (text(&self.branding.name), text(&self.branding.logo));
        let site = if name.is_empty() { page.host } else { &name };
        let contact = self.branding.contact.as_ref();
        let sheet = Sheet {
            style: &self.style,
            site,
            logo: &logo,
            favicon: self.branding.favicon.as_deref().unwrap_or(NO_PICTURE),
            contact: contact.map_or("", |contact| contact.text.as_str()),
            contact_address: contact.map_or("", |contact| contact.address.as_str()),
            page,
        };
        // Rendering into a string fails only for templates that call fallible code; ours does not.
        sheet.render().unwrap_or_default()
    }

    /// Renders a refusal, with the operator's own paragraph.
    #[must_use]
    pub fn render_refusal(&self, page: Page<'_>) -> String {
        self.render(Page {
            lead: self.branding.first_paragraph.as_deref().unwrap_or_default(),
            ..page
        })
    }

    /// Returns the headers of a page, without its content type. Forms may be sent to this site and to `form_target`: Chromium
    /// applies `form-action` to the redirects of a form as well.
    #[must_use]
    pub fn headers(&self, form_target: Option<&str>) -> [(&'static str, String); 5] {
        let target = form_target
            .map(|target| format!(" {target}"))
            .unwrap_or_default();
        let policy = format!(
            "default-src 'none'; style-src {}; img-src data:; form-action 'self'{target}; frame-ancestors 'none'; \
             base-uri 'none'",
            self.style_source
        );
        [
            ("content-security-policy", policy),
            ("x-frame-options", "DENY".to_owned()),
            ("cache-control", "no-store".to_owned()),
            // Only with this policy do browsers send the origin of our own forms; other sites still get no referrer.
            ("referrer-policy", "same-origin".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ]
    }
}

/// Renders the operator's colours as a style sheet that follows the other one.
fn render_colours(branding: &Branding) -> String {
    let rules = |shade: fn(&Shades) -> Option<Colour>| {
        let (accent, stripe) = (shade(&branding.primary), shade(&branding.secondary));
        let mut rules = String::new();
        if let Some(accent) = accent {
            rules = format!("--accent:{accent};--on-accent:{};", accent.ink());
        }
        if let Some(stripe) = stripe.or(accent) {
            rules.push_str(&format!("--stripe:{stripe}"));
        }
        rules
    };
    // Colours of light pages are used for dark ones as well, unless those have their own.
    let (light, dark) = (
        rules(|shades| shades.light),
        rules(|shades| shades.dark.or(shades.light)),
    );
    if dark.is_empty() && light.is_empty() {
        return String::new();
    }
    format!(":root{{{light}}}\n@media(prefers-color-scheme:dark){{:root{{{dark}}}}}\n")
}

#[cfg(test)]
mod tests;
