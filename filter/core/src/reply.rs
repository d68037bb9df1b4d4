//! Answers of our own: pages for people, JSON for programs, redirects.

use std::borrow::Cow;

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::policy::{Reason, Reasons};
use crate::refusal::Refusal;
use crate::request::{Parsed, Request};
use crate::step::Reply;

/// The pages' only style sheet, allowed by its hash.
const STYLE: &str = include_str!("../templates/style.css");

/// For whom an answer is made, kept while a sign-in waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audience {
    html: bool,
    request_id: String,
}

impl Audience {
    /// For a request that could not be read: what can still be told from single headers.
    pub(crate) fn of_unreadable(request: &Request<'_>) -> Self {
        Self {
            html: request.client().wants_html(),
            request_id: request.id().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn of(request: &Parsed<'_>) -> Self {
        Self {
            html: request.client.wants_html(),
            request_id: request.request_id.unwrap_or_default().to_owned(),
        }
    }
}

/// What a page shows beside its title and text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras<'a> {
    /// The account that is signed in; its page offers to sign out.
    pub(crate) account: Option<&'a str>,
    /// Where to begin again: address and text of a link.
    pub(crate) link: Option<(&'a str, &'a str)>,
    /// Offers a button that signs out.
    pub(crate) sign_out: bool,
    /// Where a form's answer may redirect to, beside this site: Chromium applies `form-action` to redirects.
    pub(crate) form_target: Option<&'a str>,
    /// A further sentence.
    pub(crate) note: Option<&'a str>,
    /// Why a policy said no, where the route tells.
    pub(crate) reasons: Reasons,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    style: &'a str,
    title: &'a str,
    text: &'a str,
    note: &'a str,
    account: &'a str,
    sign_out: bool,
    reasons: &'a str,
    link: &'a str,
    link_text: &'a str,
    request_id: &'a str,
}

/// A page with a title and a sentence.
pub(crate) fn page(
    status: u16,
    title: &str,
    text: &str,
    extras: Extras<'_>,
    audience: &Audience,
) -> Reply {
    let (link, link_text) = extras.link.unwrap_or_default();
    let reasons: Vec<&str> = extras.reasons.iter().map(Reason::word).collect();
    let page = Page {
        style: STYLE,
        title,
        text,
        note: extras.note.unwrap_or_default(),
        account: extras.account.unwrap_or_default(),
        sign_out: extras.sign_out,
        reasons: &reasons.join(", "),
        link,
        link_text,
        request_id: &audience.request_id,
    };
    // Rendering into a string fails only for templates that call fallible code; ours does not.
    let body = page.render().unwrap_or_default();
    // Browsers tell our own forms' origin only under this policy; other sites still learn nothing.
    let mut headers = own_headers("text/html; charset=utf-8", "same-origin");
    headers.push((
        "content-security-policy".into(),
        content_security_policy(extras.form_target),
    ));
    headers.push(("x-frame-options".into(), "DENY".to_owned()));
    Reply {
        status,
        headers,
        body,
        event: Cow::Borrowed("page"),
    }
}

/// The script of [`leave`], allowed by its hash. It puts the fragment, if there is one, into a cookie for the callback, and
/// goes on without leaving this page in the browser's history.
const LEAVE_SCRIPT: &str = include_str!("../templates/leave.js");

#[derive(Template)]
#[template(path = "leave.html")]
struct Leave<'a> {
    style: &'a str,
    script: &'a str,
    location: &'a str,
    cookie: &'a str,
}

/// The page that leads on to a sign-in elsewhere and keeps the address's fragment in a cookie of this name. Browsers carry
/// fragments along with redirects, but not over the provider's own pages.
pub(crate) fn leave(location: &str, cookie: &str) -> Reply {
    let page = Leave {
        style: STYLE,
        script: LEAVE_SCRIPT,
        location,
        cookie,
    };
    let mut headers = own_headers("text/html; charset=utf-8", "no-referrer");
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    headers.push((
        "content-security-policy".into(),
        format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; form-action 'none'; \
             frame-ancestors 'none'; base-uri 'none'",
            hash(STYLE),
            hash(LEAVE_SCRIPT)
        ),
    ));
    headers.push(("x-frame-options".into(), "DENY".to_owned()));
    Reply {
        status: 200,
        headers,
        body: page.render().unwrap_or_default(),
        event: Cow::Borrowed("leaving for the sign-in"),
    }
}

/// A refusal, as a page or as JSON.
pub(crate) fn refuse(
    refusal: Refusal,
    extras: Extras<'_>,
    audience: &Audience,
    event: String,
) -> Reply {
    let mut reply = if audience.html {
        page(
            refusal.status(),
            refusal.title(),
            refusal.explanation(),
            extras,
            audience,
        )
    } else {
        json(refusal, extras, audience)
    };
    match refusal {
        Refusal::ProviderUnavailable => reply.add("retry-after", "5".to_owned()),
        Refusal::BearerToken => reply.add(
            "www-authenticate",
            r#"Bearer error="invalid_token""#.to_owned(),
        ),
        Refusal::MethodNotAllowed => reply.add("allow", "GET, POST".to_owned()),
        _ => {}
    }
    reply.event = Cow::Owned(event);
    reply
}

fn json(refusal: Refusal, extras: Extras<'_>, audience: &Audience) -> Reply {
    let mut answer = serde_json::json!({
        "error": refusal.word(),
        "message": refusal.explanation(),
        "request_id": audience.request_id,
    });
    if let Some(object) = answer.as_object_mut() {
        if let Some(note) = extras.note {
            object.insert("note".to_owned(), note.into());
        }
        if let Some(account) = extras.account {
            object.insert("account".to_owned(), account.into());
        }
        if extras.reasons != Reasons::NONE {
            let words = extras.reasons.iter().map(Reason::word);
            object.insert("reasons".to_owned(), words.collect());
        }
    }
    Reply {
        status: refusal.status(),
        headers: own_headers("application/json", "no-referrer"),
        body: answer.to_string(),
        event: Cow::Borrowed("json"),
    }
}

/// An error as OAuth 2.0 tells it (RFC 6749 section 5.2).
pub(crate) fn json_error(status: u16, error: &str, description: &str) -> Reply {
    let answer = serde_json::json!({"error": error, "error_description": description});
    Reply {
        status,
        headers: own_headers("application/json", "no-referrer"),
        body: answer.to_string(),
        event: Cow::Borrowed("json"),
    }
}

/// A redirect that a browser follows with `GET`, whatever it sent before: a body never reaches the target.
pub(crate) fn redirect(location: String, event: String) -> Reply {
    let mut headers = own_headers("text/plain", "no-referrer");
    headers.push(("location".into(), location));
    Reply {
        status: 303,
        headers,
        body: String::new(),
        event: Cow::Owned(event),
    }
}

/// A plain text.
pub(crate) fn plain(status: u16, body: &str, event: impl Into<Cow<'static, str>>) -> Reply {
    Reply {
        status,
        headers: own_headers("text/plain; charset=utf-8", "no-referrer"),
        body: body.to_owned(),
        event: event.into(),
    }
}

/// What anybody may read, from any page and for a minute from a cache.
pub(crate) fn public(body: String, event: &'static str) -> Reply {
    Reply {
        status: 200,
        headers: vec![
            ("content-type".into(), "application/json".to_owned()),
            ("cache-control".into(), "max-age=60".to_owned()),
            ("access-control-allow-origin".into(), "*".to_owned()),
            ("x-content-type-options".into(), "nosniff".to_owned()),
        ],
        body,
        event: Cow::Borrowed(event),
    }
}

/// What every answer of ours carries: nothing of it is stored, guessed at or told to other sites.
fn own_headers(content_type: &str, referrer: &str) -> Vec<(Cow<'static, str>, String)> {
    vec![
        ("content-type".into(), content_type.to_owned()),
        ("cache-control".into(), "no-store".to_owned()),
        ("referrer-policy".into(), referrer.to_owned()),
        ("x-content-type-options".into(), "nosniff".to_owned()),
    ]
}

fn content_security_policy(form_target: Option<&str>) -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let target = form_target
        .map(|target| format!(" {target}"))
        .unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'{target}; frame-ancestors 'none'; \
         base-uri 'none'"
    )
}
