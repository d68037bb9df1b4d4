//! The first form of a page.

use anyhow::{Context as _, Result};
use url::Url;

use crate::Response;

/// The address of a form, and the fields that it sends.
#[derive(Debug)]
pub struct Form {
    /// The address.
    pub action: Url,
    /// Names and values of its inputs.
    pub fields: Vec<(String, String)>,
}

impl Form {
    /// Returns the fields as [`crate::UserAgent::post_form`] takes them.
    #[must_use]
    pub fn borrowed(&self) -> Vec<(&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect()
    }
}

impl Response {
    /// Returns the first form of this page, which came from `url`. Its inputs must have names and values.
    ///
    /// # Errors
    /// Returns an error when there is no such form.
    pub fn form(&self, url: &Url) -> Result<Form> {
        let page = self.text();
        let form = page
            .split("<form")
            .nth(1)
            .and_then(|rest| rest.split("</form>").next());
        let form = form.with_context(|| format!("`{url}` shows a form: {page}"))?;
        let action = attribute(form, "action").context("the form has an action")?;
        let inputs = form.split("<input").skip(1);
        let fields = inputs
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)));
        Ok(Form {
            action: url.join(&action)?,
            fields: fields.collect(),
        })
    }
}

/// Returns the value of the first attribute of this name, with the few character references that programs write
/// resolved.
fn attribute(element: &str, name: &str) -> Option<String> {
    let rest = element.split(&format!("{name}=\"")).nth(1)?;
    let value = rest.split('"').next()?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}
