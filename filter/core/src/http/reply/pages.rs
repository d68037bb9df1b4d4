//! Answers of our own: pages for people, JSON for programs, redirects.

use std::borrow::Cow;

use std::rc::Rc;

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::http::page::{Form, List, Page, Theme};
use crate::http::reply::{Reply, SIGN_IN_LEFT_FOR};
use crate::http::request::{Client, Parsed, Request};
use crate::policy::{Reason, Reasons};
use crate::refusal::Refusal;

/// What answers with status 401 have to say (RFC 9110 section 15.5.2). No browser knows the scheme, so that none asks for
/// a password that nobody has.
const CHALLENGE: &str = "Jetway realm=\"jetway\", sign_in=\"/.pomerium/sign_in\"";

/// For whom an answer is made, kept while a sign-in waits.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    html: bool,
    /// Whether it asks for JSON by name, and for no page.
    json: bool,
    request_id: String,
    look: Rc<Theme>,
}

impl Audience {
    /// For a request that could not be read: what can still be told from single headers.
    pub(crate) fn of_unreadable(request: &Request<'_>, look: &Rc<Theme>) -> Self {
        Self::new(&request.client(), request.id(), look)
    }

    pub(crate) fn of(request: &Parsed<'_>, look: &Rc<Theme>) -> Self {
        Self::new(&request.client, request.request_id, look)
    }

    fn new(client: &Client<'_>, request_id: Option<&str>, look: &Rc<Theme>) -> Self {
        let html = client.wants_html();
        Self {
            html,
            json: !html && client.wants_json(),
            request_id: request_id.unwrap_or_default().to_owned(),
            look: Rc::clone(look),
        }
    }

    /// Whether it asks for JSON by name, and for no page.
    pub(crate) const fn asks_for_json(&self) -> bool {
        self.json
    }

    /// By which the operator finds the request; empty without one.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
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
    /// A button that sends a form.
    pub(crate) form: Option<Form<'a>>,
    /// Offers a button that deletes the site's cookies.
    pub(crate) clear_cookies: bool,
    /// Where a form's answer may redirect to, beside this site: Chromium applies `form-action` to redirects.
    pub(crate) form_target: Option<&'a str>,
    /// A further sentence.
    pub(crate) note: Option<&'a str>,
    /// Why a policy said no, where the route tells.
    pub(crate) reasons: Reasons,
    /// Names and values.
    pub(crate) facts: &'a [(&'a str, String)],
    /// What there is to choose from.
    pub(crate) list: Option<List<'a>>,
}

/// Renders a page with a title and a sentence; a client that asks for JSON by name gets the same as JSON.
pub(crate) fn render_page(
    title: &str,
    text: &str,
    extras: Extras<'_>,
    audience: &Audience,
) -> Reply {
    if audience.json {
        let answer = serde_json::json!({"title": title, "message": text});
        return render_json(200, answer, extras, audience);
    }
    let theme = &audience.look;
    let body = theme.render(describe(title, text, &extras, audience));
    render_html(200, body, extras.form_target, theme)
}

/// Returns what a page says, but for the reasons of a policy.
fn describe<'a>(
    title: &'a str,
    text: &'a str,
    extras: &Extras<'a>,
    audience: &'a Audience,
) -> Page<'a> {
    Page {
        title,
        text,
        note: extras.note.unwrap_or_default(),
        account: extras.account.unwrap_or_default(),
        facts: extras.facts,
        list: extras.list,
        sign_out: extras.sign_out,
        form: extras.form,
        clear_cookies: extras.clear_cookies,
        link: extras.link,
        request_id: &audience.request_id,
        ..Page::default()
    }
}

/// Renders a page as an HTML document that no other origin may frame.
fn render_html(status: u16, body: String, form_target: Option<&str>, theme: &Theme) -> Reply {
    let mut headers = vec![(
        Cow::Borrowed("content-type"),
        "text/html; charset=utf-8".to_owned(),
    )];
    let common = theme.headers(form_target).into_iter();
    headers.extend(common.map(|(name, value)| (Cow::Borrowed(name), value)));
    Reply {
        status,
        headers,
        body,
        event: Cow::Borrowed("page"),
    }
}

/// The script of [`leave`], allowed by its hash. It puts the fragment, if there is one, into a cookie for the callback, and
/// goes on without leaving this page in the browser's history.
const LEAVE_SCRIPT: &str = include_str!("../../../templates/leave.js");

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
pub(crate) fn leave(location: &str, cookie: &str, look: &Theme) -> Reply {
    let page = Leave {
        style: look.style(),
        script: LEAVE_SCRIPT,
        location,
        cookie,
    };
    let mut headers = own_headers("text/html; charset=utf-8", "no-referrer");
    let script = STANDARD.encode(Sha256::digest(LEAVE_SCRIPT.as_bytes()));
    headers.push((
        "content-security-policy".into(),
        format!(
            "default-src 'none'; style-src {}; script-src 'sha256-{script}'; img-src data:; form-action 'none'; \
             frame-ancestors 'none'; base-uri 'none'",
            look.style_source(),
        ),
    ));
    headers.push(("x-frame-options".into(), "DENY".to_owned()));
    Reply {
        status: 200,
        headers,
        body: page.render().unwrap_or_default(),
        event: Cow::Borrowed(SIGN_IN_LEFT_FOR),
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
        let (theme, reasons) = (&audience.look, extras.reasons);
        let reasons: Vec<&str> = reasons.iter().map(Reason::word).collect();
        let page = Page {
            reasons: &reasons.join(", "),
            ..describe(refusal.title(), refusal.explanation(), &extras, audience)
        };
        let body = theme.render_refusal(page);
        render_html(refusal.status(), body, extras.form_target, theme)
    } else {
        let answer = serde_json::json!({
            "error": refusal.word(),
            "message": refusal.explanation(),
        });
        render_json(refusal.status(), answer, extras, audience)
    };
    match refusal {
        Refusal::ProviderUnavailable => reply.add("retry-after", "5".to_owned()),
        Refusal::Unauthenticated => reply.add("www-authenticate", CHALLENGE.to_owned()),
        Refusal::BearerToken => reply.add(
            "www-authenticate",
            r#"Bearer error="invalid_token""#.to_owned(),
        ),
        _ => {}
    }
    reply.event = Cow::Owned(event);
    reply
}

fn render_json(status: u16, mut answer: Value, extras: Extras<'_>, audience: &Audience) -> Reply {
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
        object.insert("request_id".to_owned(), audience.request_id.as_str().into());
    }
    data(status, &answer)
}

/// What a program or a script is told that is not signed in: a clear answer instead of a redirect that it could not follow.
pub(crate) fn challenge(request: &Parsed<'_>, audience: &Audience) -> Reply {
    let refusal = Refusal::Unauthenticated;
    let answer = serde_json::json!({
        "error": refusal.word(),
        "message": refusal.explanation(),
        "sign_in_url": format!("{}/.pomerium/sign_in", request.authority.origin()),
        "request_id": audience.request_id,
    });
    let mut reply = data(refusal.status(), &answer);
    reply.add("www-authenticate", CHALLENGE.to_owned());
    reply.event = Cow::Owned(format!("refused: {}", refusal.word()));
    reply
}

/// JSON for its reader alone.
pub(crate) fn data(status: u16, answer: &Value) -> Reply {
    Reply {
        status,
        headers: own_headers("application/json", "no-referrer"),
        body: answer.to_string(),
        event: Cow::Borrowed("json"),
    }
}

/// An error as OAuth 2.0 tells it (RFC 6749 section 5.2).
pub(crate) fn json_error(status: u16, error: &str, description: &str) -> Reply {
    let answer = serde_json::json!({"error": error, "error_description": description});
    data(status, &answer)
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
