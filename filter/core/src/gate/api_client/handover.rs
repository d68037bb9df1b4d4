//! Hands sessions over to API clients.
//!
//! The session of an API client is a child of the browser's session. It has the same id, so that it ends with the browser's:
//! by a sign-out, by the provider, by a refused refresh, by a policy that uses other claims. It expires with the browser's,
//! and has an idle limit of its own, counted by the API client's requests.
//!
//! The API client's value never changes, so that it cannot contain the refresh token, which does. At the handover, the
//! browser's form of the session goes where the workers share refreshed sessions. The API client's requests take the newest
//! form from there and refresh it when it is due, even when the browser is closed. Without such a form, after a restart of
//! the process, the API client's session is valid for as long as the provider's statement at the handover is current.
//!
//! A link does not get a session: it leads to a page that names the API client's address and asks the user. The answer is a
//! form of that page, sealed for this browser's session and valid once.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use crate::env::Env;
use crate::gate::Gate;
use crate::gate::api_client::{ApiClients, PROGRAMMATIC_LOGIN};
use crate::gate::provider_logout::is_form;
use crate::gate::sessions::SessionStatus;
use crate::gate::sign_out::is_same_site;
use crate::gate::step::Step;
use crate::http::page::Form;
use crate::http::reply::{Extras, redirect, render_page};
use crate::http::request::Parsed;
use crate::limits::ATTEMPT_LIFETIME;
use crate::refusal::{BadRequest, Refusal};
use crate::session::Session;
use crate::session::replay::consume_once;
use crate::session::seal::Purpose;
use crate::time::Timestamp;

/// The parameter in which an API client gets its session, as in Pomerium.
const SESSION: &str = "pomerium_session";
/// The field of the form with the user's answer.
const ANSWER: &str = "handover";
/// The longest form: the sealed question about an address of 1 KB.
const MAX_FORM: usize = 8 * 1024;
/// Why an API client's session ends that cannot be refreshed.
pub(in crate::gate) const STRANDED: &str = "what the provider said is no longer current, and the browser's session is not known to this process";

/// The question whether an API client may have a session, sealed into the form that answers it.
#[derive(Serialize, Deserialize)]
struct HandoverQuestion {
    /// Its id, because it is answered once.
    #[serde(rename = "i")]
    id: String,
    /// The id of the session in question.
    #[serde(rename = "s")]
    session: String,
    /// Where the API client listens.
    #[serde(rename = "r")]
    redirect_uri: String,
    #[serde(rename = "t")]
    asked_at: Timestamp,
}

impl ApiClients {
    /// Seals the question into the form that answers it.
    fn seal_question(
        &self,
        request: &Parsed<'_>,
        redirect_uri: &str,
        session: &Session,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let question = HandoverQuestion {
            id: env.token::<16>().ok()?,
            session: session.id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            asked_at: env.now,
        };
        let host = &request.authority.host;
        self.vault.seal(Purpose::Handover, host, &question, env)
    }

    /// Opens the question that a form answers, if it was asked on this host and has not expired.
    fn open_question(
        &self,
        request: &Parsed<'_>,
        form: &[u8],
        now: Timestamp,
    ) -> Option<HandoverQuestion> {
        let (_, sealed) = form_urlencoded::parse(form).find(|(name, _)| name == ANSWER)?;
        let host = &request.authority.host;
        let question: HandoverQuestion =
            self.vault
                .open(Purpose::Handover, host, sealed.as_bytes())?;
        (now.since(question.asked_at) < ATTEMPT_LIFETIME).then_some(question)
    }

    /// Returns the address at which an API client gets its own form of a session.
    fn handover_url(
        &self,
        mut address: Url,
        host: &str,
        session: &Session,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let handed_over = session.handed_over(env.token::<16>().ok()?, env.now);
        let sealed = self
            .vault
            .seal(Purpose::ApiClient, host, &handed_over, env)?;
        address.query_pairs_mut().append_pair(SESSION, &sealed);
        Some(address.into())
    }
}

impl Gate {
    /// Builds the page that asks whether an API client may have this session.
    pub(super) fn ask_for_handover(
        &self,
        request: &Parsed<'_>,
        redirect_uri: &str,
        session: &Session,
        env: &mut Env<'_>,
    ) -> Step {
        let clients = &self.api_clients;
        let address = clients.check_address(redirect_uri);
        let question = clients.seal_question(request, redirect_uri, session, env);
        let (Some(address), Some(question)) = (address, question) else {
            return self.pages.refuse(request, Refusal::Internal);
        };
        let (place, host) = (host_and_port(&address), request.authority.to_string());
        let title = format!("Let the API client at {place} use your account?");
        let text = format!(
            "It gets a session for {host}, and may do there what you may. Continue only if you have just started this \
             API client yourself."
        );
        let origin = address.origin().ascii_serialization();
        let extras = Extras {
            account: Some(session.account()),
            facts: &[("API client", place), ("Application", host)],
            form: Some(Form {
                action: PROGRAMMATIC_LOGIN,
                name: ANSWER,
                value: &question,
                button: "Allow it",
            }),
            form_target: Some(&origin),
            note: Some(
                "It ends with your session here: sign out to end it. Close this page to refuse.",
            ),
            ..Extras::default()
        };
        let audience = self.pages.audience(request);
        Step::Reply(render_page(&title, &text, extras, &audience))
    }

    /// Hands a session over to an API client, after the user has consented.
    pub(in crate::gate) fn hand_over_session(
        &self,
        request: &Parsed<'_>,
        env: &mut Env<'_>,
    ) -> Step {
        if !is_same_site(request) {
            return self.pages.refuse(request, Refusal::ForeignOrigin);
        }
        let Some(body) = request.body else {
            return Step::ReadBody { limit: MAX_FORM };
        };
        let (address, session) = match self.check_consent(request, body, env) {
            Ok(consent) => consent,
            Err(why) => {
                let refusal = Refusal::BadRequest(BadRequest::Handover);
                return self.pages.refuse_because(request, refusal, why);
            }
        };
        let event = format!(
            "session handed to an API client at={:?}",
            host_and_port(&address),
        );
        let host = &request.authority.host;
        let Some(location) = self.api_clients.handover_url(address, host, &session, env) else {
            return self.pages.refuse(request, Refusal::Internal);
        };
        self.sessions.share_with_api_clients(&session, env);
        Step::Reply(redirect(location, event)).for_account(Some(session.account()))
    }

    /// Returns which API client gets which session by the answer in a form.
    ///
    /// # Errors
    /// Why none is handed over, for the log.
    fn check_consent(
        &self,
        request: &Parsed<'_>,
        form: &[u8],
        env: &Env<'_>,
    ) -> Result<(Url, Rc<Session>), &'static str> {
        if form.len() > MAX_FORM || !is_form(request) {
            return Err("it is no form, or too long");
        }
        let question = self
            .api_clients
            .open_question(request, form, env.now)
            .ok_or("it answers no question of this host, or one that is over")?;
        let session = self.sessions.authenticate(request, env).session;
        let session = session.ok_or("the user is not signed in")?;
        if question.session != session.id {
            return Err("the question was about another session");
        }
        if !consume_once(&question.id, question.asked_at, env) {
            return Err("the question was answered before");
        }
        let address = self.api_clients.check_address(&question.redirect_uri);
        Ok((address.ok_or("its host is no longer allowed")?, session))
    }

    /// Returns the session that was handed over to an API client, in its newest form.
    ///
    /// # Errors
    /// Why it is not valid, for the log.
    pub(super) fn handed_over_session(
        &self,
        request: &Parsed<'_>,
        sealed: &[u8],
        env: &Env<'_>,
    ) -> Result<Rc<Session>, &'static str> {
        let host = &request.authority.host;
        let opened: Option<Session> = self
            .api_clients
            .vault
            .open(Purpose::ApiClient, host, sealed);
        let session = opened
            .filter(Session::is_for_api_client)
            .ok_or("it is no session that was made for this host")?;
        if !session.is_live(env.now) {
            return Err("the session is over");
        }
        let SessionStatus::Active { session, .. } = self.sessions.status(Rc::new(session), env)
        else {
            return Err("the session was ended");
        };
        if session.is_stranded(env.now) {
            return Err(STRANDED);
        }
        let unused = self
            .sessions
            .unused_for(&session, env)
            .ok_or("the API client has not used the session for too long")?;
        if !self.sessions.terms.are_met_by(&session) {
            return Err(
                "the configuration asks for other claims, or for another proof of the address",
            );
        }
        self.sessions.record_use(&session, unused, env);
        Ok(session)
    }
}

/// Returns `host:port` of an API client's address.
fn host_and_port(address: &Url) -> String {
    let host = address.host_str().unwrap_or_default();
    match address.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
