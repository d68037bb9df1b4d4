//! The pages that visitors see of the proxy itself, the same by the module, the bundled host and Envoy.

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::config::{Branding, Shades};
use crate::http::colour::Colour;

/// The pages' style sheet; colours of the operator's follow it.
const STYLE: &str = include_str!("../../templates/style.css");
/// An empty picture: without any, browsers ask for `/favicon.ico`, which belongs to the application.
const NO_PICTURE: &str = "data:,";

/// How pages look: made once for a configuration.
#[derive(Clone, Debug)]
pub struct Theme {
    style: String,
    /// `style-src` of the Content-Security-Policy.
    style_source: String,
    branding: Branding,
}

/// What one page says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// Title and only main heading.
    pub title: &'a str,
    /// One sentence.
    pub text: &'a str,
    /// Further sentences.
    pub note: &'a str,
    /// The operator's own paragraph, on pages that say no.
    pub lead: &'a str,
    /// The account that is signed in.
    pub account: &'a str,
    /// Why a policy said no.
    pub reasons: &'a str,
    /// Names and values.
    pub facts: &'a [(&'a str, String)],
    /// What there is to choose from.
    pub list: Option<List<'a>>,
    /// Offers a button that signs out.
    pub sign_out: bool,
    /// A button that sends a form.
    pub form: Option<Form<'a>>,
    /// Offers a button that deletes the site's cookies.
    pub clear_cookies: bool,
    /// Address and words of a link; an empty address loads the page again.
    pub link: Option<(&'a str, &'a str)>,
    /// By which the operator finds the request.
    pub request_id: &'a str,
}

/// A form with one hidden field and a button. It is sent to this site.
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

/// A list with a heading.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// The heading.
    pub title: &'a str,
    /// What the list is.
    pub text: &'a str,
    /// Its items.
    pub items: &'a [Item],
}

/// An item of a list: a link and a few words.
#[derive(Clone, Debug)]
pub struct Item {
    /// Address of the link.
    pub address: String,
    /// Text of the link.
    pub name: String,
    /// What stands behind it.
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
    /// The look that an operator wants.
    #[must_use]
    pub fn new(branding: &Branding) -> Self {
        let style = format!("{STYLE}{}", colours(branding));
        let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
        Self {
            style,
            style_source: format!("'sha256-{hash}'"),
            branding: branding.clone(),
        }
    }

    /// The style sheet, for pages of another form.
    pub(crate) fn style(&self) -> &str {
        &self.style
    }

    /// What allows the style sheet in a Content-Security-Policy.
    pub(crate) fn style_source(&self) -> &str {
        &self.style_source
    }

    /// A page as HTML.
    #[must_use]
    pub fn render(&self, page: Page<'_>) -> String {
        let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
        let (site, logo) = (text(&self.branding.name), text(&self.branding.logo));
        let contact = self.branding.contact.as_ref();
        let sheet = Sheet {
            style: &self.style,
            site: &site,
            logo: &logo,
            favicon: self.branding.favicon.as_deref().unwrap_or(NO_PICTURE),
            contact: contact.map_or("", |contact| contact.text.as_str()),
            contact_address: contact.map_or("", |contact| contact.address.as_str()),
            page,
        };
        // Rendering into a string fails only for templates that call fallible code; ours does not.
        sheet.render().unwrap_or_default()
    }

    /// A page that says no, with the operator's own words.
    #[must_use]
    pub fn render_refusal(&self, page: Page<'_>) -> String {
        self.render(Page {
            lead: self.branding.first_paragraph.as_deref().unwrap_or_default(),
            ..page
        })
    }

    /// The headers of a page, but for its type. Forms lead to this site and `form_target`: Chromium applies
    /// `form-action` to the redirects that answer them.
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
            // Browsers tell our own forms' origin only under this policy; other sites still learn nothing.
            ("referrer-policy", "same-origin".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ]
    }
}

/// The operator's colours, as a style sheet that follows the other.
fn colours(branding: &Branding) -> String {
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
    // What is said for light pages is meant for dark ones, too, when nothing is said for those.
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
