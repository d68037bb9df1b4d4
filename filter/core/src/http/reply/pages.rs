//! Builds the proxy's own replies: pages for people, JSON for API clients, redirects.

use std::borrow::Cow;
use std::rc::Rc;

use askama::Template;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::explain::ExplainedDecision;
use crate::http::page::{Details, Form, List, Page, Script, Theme};
use crate::http::reply::{Reply, SIGN_IN_LEFT_FOR};
use crate::http::request::{Client, Parsed, Request, display_authority};
use crate::policy::{Reason, Reasons};
use crate::refusal::Refusal;

/// The challenge that a reply with status 401 has to contain (RFC 9110 section 15.5.2). No browser knows the scheme, so that none
/// prompts for a password.
const CHALLENGE: &str = "Jetway realm=\"jetway\", sign_in=\"/.pomerium/sign_in\"";

/// The header with the policy that limits what a page may load and run.
const SECURITY_POLICY: &str = "content-security-policy";

/// The client that a reply is for, kept while a sign-in waits for the provider.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    html: bool,
    /// Whether it accepts `application/json` and not `text/html`.
    json: bool,
    request_id: String,
    /// `host[:port]` of the request; empty when it is not valid.
    host: String,
    theme: Rc<Theme>,
}

impl Audience {
    /// Describes the client of a malformed request, as far as single headers tell.
    pub(crate) fn of_unreadable(request: &Request<'_>, theme: &Rc<Theme>) -> Self {
        let host = request.first(":authority").and_then(display_authority);
        Self {
            host: host.unwrap_or_default(),
            ..Self::new(&request.client(), request.id(), theme)
        }
    }

    /// Describes the client of a request.
    pub(crate) fn of(request: &Parsed<'_>, theme: &Rc<Theme>) -> Self {
        Self {
            host: request.authority.to_string(),
            ..Self::new(&request.client, request.request_id, theme)
        }
    }

    fn new(client: &Client<'_>, request_id: Option<&str>, theme: &Rc<Theme>) -> Self {
        let html = client.wants_html();
        Self {
            html,
            json: !html && client.wants_json(),
            request_id: request_id.unwrap_or_default().to_owned(),
            host: String::new(),
            theme: Rc::clone(theme),
        }
    }

    /// Returns whether the client accepts `application/json` and not `text/html`.
    pub(crate) const fn asks_for_json(&self) -> bool {
        self.json
    }

    /// Returns the id with which the operator finds the request; empty without one.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }
}

/// The parts of a page beside its title and first sentence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras<'a> {
    /// The account that is signed in.
    pub(crate) account: Option<&'a str>,
    /// Address and text of a link.
    pub(crate) link: Option<(&'a str, &'a str)>,
    /// A script that changes what the link does.
    pub(crate) script: Option<Script<'a>>,
    /// The text of a button that signs out.
    pub(crate) sign_out: Option<&'a str>,
    /// A form with a button.
    pub(crate) form: Option<Form<'a>>,
    /// Whether there is a button to delete the cookies of the site.
    pub(crate) clear_cookies: bool,
    /// The origin to which a form may redirect, beside this site: Chromium applies `form-action` to redirects.
    pub(crate) form_target: Option<&'a str>,
    /// A further sentence.
    pub(crate) note: Option<&'a str>,
    /// Why the policy has denied the request, on routes that show it.
    pub(crate) reasons: Reasons,
    /// Names and values.
    pub(crate) facts: &'a [(&'a str, String)],
    /// A list of links.
    pub(crate) list: Option<List<'a>>,
    /// Names and values for engineers, after a click.
    pub(crate) details: Option<Details<'a>>,
}

/// The text of the button on pages from which users sign out.
pub(crate) const SIGN_OUT_BUTTON: &str = "Sign out";

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
    let theme = &audience.theme;
    let body = theme.render(describe(title, text, &extras, audience));
    let mut reply = render_html(200, body, extras.form_target, theme);
    if let Some(script) = extras.script {
        allow_script(&mut reply, script.source);
    }
    reply
}

/// Allows a script in a page, by its hash.
fn allow_script(reply: &mut Reply, script: &str) {
    let is_policy = |(name, _): &&mut (Cow<'static, str>, String)| name == SECURITY_POLICY;
    if let Some((_, policy)) = reply.headers.iter_mut().find(is_policy) {
        policy.push_str(&format!("; script-src {}", script_source(script)));
    }
}

/// Returns the source that allows a script in a Content-Security-Policy.
fn script_source(script: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(script.as_bytes()));
    format!("'sha256-{hash}'")
}

/// Returns the content of a page, without the reasons of a policy.
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
        host: &audience.host,
        account: extras.account.unwrap_or_default(),
        facts: extras.facts,
        list: extras.list,
        details: extras.details,
        sign_out: extras.sign_out.unwrap_or_default(),
        form: extras.form,
        clear_cookies: extras.clear_cookies,
        link: extras.link,
        script: extras.script,
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
        decision: ExplainedDecision::Allow,
        reasons: Cow::Borrowed(""),
        account: None,
    }
}

/// The script of [`leave`], allowed by its hash. It stores the fragment, if there is one, in a cookie for the callback, and
/// continues without an entry for this page in the browser's history.
const LEAVE_SCRIPT: &str = include_str!("../../../templates/leave.js");

#[derive(Template)]
#[template(path = "leave.html")]
struct Leave<'a> {
    style: &'a str,
    script: &'a str,
    location: &'a str,
    cookie: &'a str,
}

/// Returns the page that forwards the browser to a sign-in and stores the fragment of the address in a cookie of this name.
/// Browsers keep a fragment over redirects, but not over the provider's pages.
pub(crate) fn leave(location: &str, cookie: &str, theme: &Theme) -> Reply {
    let page = Leave {
        style: theme.style(),
        script: LEAVE_SCRIPT,
        location,
        cookie,
    };
    let mut headers = own_headers("text/html; charset=utf-8", "no-referrer");
    headers.push((
        SECURITY_POLICY.into(),
        format!(
            "default-src 'none'; style-src {}; script-src {}; img-src data:; form-action 'none'; \
             frame-ancestors 'none'; base-uri 'none'",
            theme.style_source(),
            script_source(LEAVE_SCRIPT),
        ),
    ));
    headers.push(("x-frame-options".into(), "DENY".to_owned()));
    Reply {
        status: 200,
        headers,
        body: page.render().unwrap_or_default(),
        event: Cow::Borrowed(SIGN_IN_LEFT_FOR),
        decision: ExplainedDecision::Login,
        reasons: Cow::Borrowed(""),
        account: None,
    }
}

/// Refuses a request with a page or JSON.
pub(crate) fn refuse(
    refusal: Refusal,
    extras: Extras<'_>,
    audience: &Audience,
    event: String,
) -> Reply {
    let account = extras.account;
    let mut reply = if audience.html {
        let (theme, reasons) = (&audience.theme, extras.reasons);
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
    reply.decision = match refusal {
        Refusal::Unauthenticated => ExplainedDecision::Login,
        _ => ExplainedDecision::Deny,
    };
    reply.because(refusal.word()).for_account(account)
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

/// Returns the reply to a script or API client that is not signed in: a clear error instead of a redirect that it could not follow.
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
    reply.decision = ExplainedDecision::Login;
    reply.because(refusal.word())
}

/// Returns a JSON reply that no cache keeps.
pub(crate) fn data(status: u16, answer: &Value) -> Reply {
    Reply {
        status,
        headers: own_headers("application/json", "no-referrer"),
        body: answer.to_string(),
        event: Cow::Borrowed("json"),
        decision: ExplainedDecision::Allow,
        reasons: Cow::Borrowed(""),
        account: None,
    }
}

/// Returns an error in the form of OAuth 2.0 (RFC 6749 section 5.2).
pub(crate) fn json_error(status: u16, error: &str, description: &str) -> Reply {
    let answer = serde_json::json!({"error": error, "error_description": description});
    let mut reply = data(status, &answer);
    reply.decision = ExplainedDecision::Deny;
    reply.because(error.to_owned())
}

/// Returns a redirect that a browser follows with `GET` after any method, so that no body reaches the target.
pub(crate) fn redirect(location: String, event: String) -> Reply {
    let mut headers = own_headers("text/plain", "no-referrer");
    headers.push(("location".into(), location));
    Reply {
        status: 303,
        headers,
        body: String::new(),
        event: Cow::Owned(event),
        decision: ExplainedDecision::Allow,
        reasons: Cow::Borrowed(""),
        account: None,
    }
}

/// Returns a plain-text reply.
pub(crate) fn plain(status: u16, body: &str, event: impl Into<Cow<'static, str>>) -> Reply {
    Reply {
        status,
        headers: own_headers("text/plain; charset=utf-8", "no-referrer"),
        body: body.to_owned(),
        event: event.into(),
        decision: ExplainedDecision::Allow,
        reasons: Cow::Borrowed(""),
        account: None,
    }
}

/// Returns a public JSON reply, which any page may read and any cache may keep for a minute.
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
        decision: ExplainedDecision::Allow,
        reasons: Cow::Borrowed(""),
        account: None,
    }
}

/// Returns the headers of the proxy's own replies, so that nothing of them is stored, sniffed or passed to other sites.
fn own_headers(content_type: &str, referrer: &str) -> Vec<(Cow<'static, str>, String)> {
    vec![
        ("content-type".into(), content_type.to_owned()),
        ("cache-control".into(), "no-store".to_owned()),
        ("referrer-policy".into(), referrer.to_owned()),
        ("x-content-type-options".into(), "nosniff".to_owned()),
    ]
}
