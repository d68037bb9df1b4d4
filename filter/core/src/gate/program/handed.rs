//! Sessions that people hand to programs.
//!
//! A program's session is a child of the browser's. It has the same name, so that it ends with it: by a sign-out, by the
//! provider's word, by a refused refresh, by a policy that asks for other claims. It has an end, the browser's, and an idle
//! limit of its own, counted by the program's requests.
//!
//! The program's value never changes, so that it cannot have the refresh token, which does. When the session is handed
//! over, the browser's form of it goes where the workers share refreshed sessions; the program's requests take the newest
//! form from there, and refresh it when it is due, be the browser closed or not. Without such a form, after a new start of
//! the process, the program's session is good for as long as what the provider had said when it was handed over.
//!
//! A link does not get a session: it leads to a page that names the program's address and asks. The answer is a form of
//! our own page, sealed for this browser's session and good once.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use url::{Url, form_urlencoded};

use super::PROGRAM_LOGIN;
use crate::env::Env;
use crate::gate::Gate;
use crate::gate::authenticate::SessionStatus;
use crate::gate::provider_logout::is_form;
use crate::gate::sign_out::is_from_here;
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

/// The parameter in which a program gets its session, as in Pomerium.
const SESSION: &str = "pomerium_session";
/// The field of the form with which a person answers.
const ANSWER: &str = "handover";
/// Longest form: the sealed question about an address of 1 KB.
const MAX_FORM: usize = 8 * 1024;
/// Why a program's session ends that nothing can refresh.
pub(in crate::gate) const STRANDED: &str = "what the provider said is no longer current, and the browser's session is not known to this process";

/// The question whether a program may have a session, sealed into the form that answers it.
#[derive(Serialize, Deserialize)]
struct Question {
    /// Its name: it is answered once.
    #[serde(rename = "i")]
    id: String,
    /// The session that is asked for.
    #[serde(rename = "s")]
    session: String,
    /// Where the program listens.
    #[serde(rename = "r")]
    redirect_uri: String,
    #[serde(rename = "t")]
    asked_at: Timestamp,
}

impl Gate {
    /// The page that asks whether a program may have this session.
    pub(super) fn ask_for_program(
        &self,
        request: &Parsed<'_>,
        redirect_uri: &str,
        session: &Session,
        env: &mut Env<'_>,
    ) -> Step {
        let program = self.program_at(redirect_uri);
        let question = self.seal_question(request, redirect_uri, session, env);
        let (Some(program), Some(question)) = (program, question) else {
            return self.refuse(request, Refusal::Internal);
        };
        let (place, host) = (place_of(&program), request.authority.to_string());
        let title = format!("Let the program at {place} in as you?");
        let text = format!(
            "It gets a session for {host}, and may do there what you may. Continue only if you have just started this \
             program yourself."
        );
        let origin = program.origin().ascii_serialization();
        let extras = Extras {
            account: Some(session.account()),
            facts: &[("Program", place), ("Application", host)],
            form: Some(Form {
                action: PROGRAM_LOGIN,
                name: ANSWER,
                value: &question,
                button: "Let it in",
            }),
            form_target: Some(&origin),
            note: Some(
                "It ends with your session here: sign out to end it. Close this page to refuse.",
            ),
            ..Extras::default()
        };
        Step::Reply(render_page(&title, &text, extras, &self.audience(request)))
    }

    /// Hands a session to a program, after its person has said so.
    pub(in crate::gate) fn hand_over(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if !is_from_here(request) {
            return self.refuse(request, Refusal::ForeignOrigin);
        }
        let Some(body) = request.body else {
            return Step::ReadBody { limit: MAX_FORM };
        };
        let (program, session) = match self.granted(request, body, env) {
            Ok(granted) => granted,
            Err(why) => {
                let refusal = Refusal::BadRequest(BadRequest::Handover);
                return self.refuse_because(request, refusal, why);
            }
        };
        let event = format!(
            "session handed to a program at={:?} account={:?}",
            place_of(&program),
            session.account()
        );
        match self.hand_to(program, request, &session, env) {
            Some(location) => Step::Reply(redirect(location, event)),
            None => self.refuse(request, Refusal::Internal),
        }
    }

    /// To which program a form hands which session.
    ///
    /// # Errors
    /// Why it hands over none, for the log.
    fn granted(
        &self,
        request: &Parsed<'_>,
        form: &[u8],
        env: &Env<'_>,
    ) -> Result<(Url, Rc<Session>), &'static str> {
        if form.len() > MAX_FORM || !is_form(request) {
            return Err("it is no form, or too long");
        }
        let question = self
            .answered_question(request, form, env.now)
            .ok_or("it answers no question of this host, or one that is over")?;
        let session = self.visit(request, env).session;
        let session = session.ok_or("nobody is signed in")?;
        if question.session != session.id {
            return Err("the question was about another session");
        }
        if !consume_once(&question.id, question.asked_at, env) {
            return Err("the question was answered before");
        }
        let program = self.program_at(&question.redirect_uri);
        Ok((program.ok_or("its host is no longer allowed")?, session))
    }

    fn seal_question(
        &self,
        request: &Parsed<'_>,
        redirect_uri: &str,
        session: &Session,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let question = Question {
            id: env.token::<16>().ok()?,
            session: session.id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            asked_at: env.now,
        };
        let plaintext = serde_json::to_vec(&question).ok()?;
        let (sealer, host) = (self.sealer.as_ref()?, &request.authority.host);
        sealer.seal(Purpose::Handover, host, &plaintext, env).ok()
    }

    /// The question that a form answers, if it was asked here and is not over.
    fn answered_question(
        &self,
        request: &Parsed<'_>,
        form: &[u8],
        now: Timestamp,
    ) -> Option<Question> {
        let (_, sealed) = form_urlencoded::parse(form).find(|(name, _)| name == ANSWER)?;
        let (sealer, host) = (self.sealer.as_ref()?, &request.authority.host);
        let opened = sealer.open(Purpose::Handover, host, sealed.as_bytes())?;
        let question: Question = serde_json::from_slice(&opened.plaintext).ok()?;
        (now.since(question.asked_at) < ATTEMPT_LIFETIME).then_some(question)
    }

    /// The address with which a program gets its own form of a session.
    fn hand_to(
        &self,
        mut program: Url,
        request: &Parsed<'_>,
        session: &Session,
        env: &mut Env<'_>,
    ) -> Option<String> {
        let handed = session.handed_over(env.token::<16>().ok()?, env.now);
        let plaintext = serde_json::to_vec(&handed).ok()?;
        let (sealer, host) = (self.sealer.as_ref()?, &request.authority.host);
        let sealed = sealer.seal(Purpose::Program, host, &plaintext, env).ok()?;
        self.share_with_programs(session, env);
        program.query_pairs_mut().append_pair(SESSION, &sealed);
        Some(program.into())
    }

    /// The session that a program was given, in its newest form.
    ///
    /// # Errors
    /// Why it is not good, for the log.
    pub(super) fn handed_session(
        &self,
        request: &Parsed<'_>,
        sealed: &[u8],
        env: &Env<'_>,
    ) -> Result<Rc<Session>, &'static str> {
        let host = &request.authority.host;
        let opened = self
            .sealer
            .as_ref()
            .and_then(|sealer| sealer.open(Purpose::Program, host, sealed));
        let session: Option<Session> =
            opened.and_then(|opened| serde_json::from_slice(&opened.plaintext).ok());
        let session = session
            .filter(Session::is_programs)
            .ok_or("it is no session that was made for this host")?;
        if !session.is_live(env.now) {
            return Err("the session is over");
        }
        let SessionStatus::Yes { session, .. } = self.newest(Rc::new(session), env) else {
            return Err("the session was ended");
        };
        if session.is_stranded(env.now) {
            return Err(STRANDED);
        }
        let silence = self
            .silence(&session, env)
            .ok_or("the program has not used the session for too long")?;
        if !session.answers(&self.terms) {
            return Err(
                "the configuration asks for other claims, or for another proof of the address",
            );
        }
        self.note_use(&session, silence, env);
        Ok(session)
    }
}

/// `host:port` of a program's address.
fn place_of(address: &Url) -> String {
    let host = address.host_str().unwrap_or_default();
    match address.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
