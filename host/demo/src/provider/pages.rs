//! The pages of the demo provider.

use askama::Template;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use jetway_core::config::Origin;

use super::ACCOUNTS;
use super::account::{Account, Rights};
use super::reply;

/// Path of the style sheet: a file of its own, so that the content security policy can forbid inline styles.
pub(super) const STYLE_PATH: &str = "/style.css";
const STYLE: &str = include_str!("../../templates/demo/style.css");

#[derive(Template)]
#[template(path = "demo/sign_in.html")]
struct SignIn<'a> {
    application: &'a str,
    request: &'a str,
    accounts: &'a [Account],
    rights: Rights,
}

#[derive(Template)]
#[template(path = "demo/message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
    /// Where to continue, if anywhere.
    onward: Option<&'a str>,
}

/// Returns the page with the accounts. `request` names the sign-in in progress.
pub(super) fn sign_in(application: &str, request: &str, rights: Rights) -> Response<Bytes> {
    let page = SignIn {
        application,
        request,
        accounts: &ACCOUNTS,
        rights,
    };
    html(StatusCode::OK, page.render(), Some(application))
}

/// Returns the page at the provider's own address.
pub(super) fn front(application: &str) -> Response<Bytes> {
    let text = "This is the demo provider. To sign in, open the application.";
    message(StatusCode::OK, "Demo provider", text, Some(application))
}

/// Returns the page after a sign-out without an address to return to.
pub(super) fn signed_out(application: &str) -> Response<Bytes> {
    message(
        StatusCode::OK,
        "Signed out",
        "The demo provider keeps no session of its own.",
        Some(application),
    )
}

/// Returns an error page for a request that cannot be answered by a redirect.
pub(super) fn problem(status: StatusCode, text: &str) -> Response<Bytes> {
    message(status, "Invalid request", text, None)
}

/// Returns the page for a program of an account of this machine that may not use the provider.
pub(super) fn foreign_account() -> Response<Bytes> {
    let text = "This demo opens Unix accounts of this machine without a password, one of them with administrative access. \
                Only programs of root and of the person who started the demo may sign in.";
    message(StatusCode::FORBIDDEN, "Not from this account", text, None)
}

/// Returns the style sheet.
pub(super) fn style() -> Response<Bytes> {
    reply::plain(StatusCode::OK, "text/css; charset=utf-8", STYLE.to_owned())
}

fn message(status: StatusCode, title: &str, text: &str, onward: Option<&str>) -> Response<Bytes> {
    html(
        status,
        Message {
            title,
            text,
            onward,
        }
        .render(),
        None,
    )
}

fn html(
    status: StatusCode,
    page: askama::Result<String>,
    form_leads_to: Option<&str>,
) -> Response<Bytes> {
    let Ok(page) = page else {
        return reply::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            "the page could not be made".to_owned(),
        );
    };
    let mut answer = reply::plain(status, "text/html; charset=utf-8", page);
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        content_security_policy(form_leads_to),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    answer
}

/// Returns the content security policy, which allows only the style sheet and the form. Browsers apply `form-action`
/// also to the redirect that answers a form, so the policy names the application.
fn content_security_policy(form_leads_to: Option<&str>) -> HeaderValue {
    let form_action = match form_leads_to {
        Some(application) => format!("'self' {}", source(application)),
        None => "'none'".to_owned(),
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src data:; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy)
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// Returns the address as a source of a content security policy, whose grammar has no IPv6 addresses (CSP 3 section
/// 2.3.1).
fn source(application: &str) -> String {
    match url::Url::parse(application)
        .ok()
        .as_ref()
        .and_then(Origin::of)
    {
        Some(origin) if !origin.host.starts_with('[') => origin.to_string(),
        _ => "https:".to_owned(),
    }
}
