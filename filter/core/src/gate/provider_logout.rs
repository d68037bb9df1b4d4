//! Ends sessions when the provider ends its own: OpenID Connect Back-Channel Logout 1.0 and Front-Channel Logout 1.0.

use std::net::IpAddr;

use url::form_urlencoded;

use crate::env::Env;
use crate::explain::ExplainedDecision;
use crate::gate::Gate;
use crate::gate::address_limit::AddressLimit;
use crate::gate::forged_tokens::digest_of;
use crate::gate::provider_access::TooManyFetches;
use crate::gate::sign_in::hold;
use crate::gate::step::Step;
use crate::gate::waiting::{Flow, ProviderLogout, Waiting};
use crate::http::reply::{Reply, json_error, plain};
use crate::http::request::Parsed;
use crate::oidc::key_lookup::{KeyProblem, LookedUp, verify_with_new_keys};
use crate::oidc::keys::MAX_TRIED;
use crate::oidc::logout_token::{self, ExpectedLogout, LogoutProblem, LogoutToken, MAX_ID, MEMORY};
use crate::oidc::metadata::is_issuer;
use crate::refusal::Refusal;
use crate::session::Session;
use crate::session::revocation::{NotStored, Revoked, revoke};
use crate::store::ExpiringTable;

/// Where the provider sends logout tokens, registered there as the client's back-channel logout URI.
pub(super) const BACKCHANNEL_LOGOUT: &str = "/.pomerium/backchannel_logout";
/// The address that the provider's page shows in a frame, registered there as the client's front-channel logout URI.
pub(super) const FRONTCHANNEL_LOGOUT: &str = "/.pomerium/frontchannel_logout";

/// The longest HTTP body with a logout token. Such tokens have about one KB.
const MAX_BODY: usize = 16 * 1024;

/// Logout tokens that were used, until they are too old anyway. Only the provider's tokens get into this table.
const USED_TOKENS: ExpiringTable = ExpiringTable {
    key: "jetway logout tokens",
    count: 8,
    bytes: 16 * 1024,
};
/// Ids of provider sessions that users have signed in with.
///
/// A front-channel logout carries no proof: without this table, any client could fill the list of revocations with ids that
/// no session has. For a session that had to leave this table, the browser's own cookie is required.
const PROVIDER_SESSIONS: ExpiringTable = ExpiringTable {
    key: "jetway provider sessions",
    count: 64,
    bytes: 32 * 1024,
};

/// How many forged logout tokens of one client address are tried with all keys that may be meant. Such a token costs up to
/// [`MAX_TRIED`] verifications of one to three milliseconds. Beyond that a token may cost one verification, so that a valid
/// token that names its key is accepted from any address.
const FORGERIES: AddressLimit = AddressLimit {
    counts: ExpiringTable {
        key: "jetway forged logout tokens",
        count: 16,
        bytes: 8 * 1024,
    },
    most: 30,
    seconds: 60,
};

/// Why a logout token ends nothing.
enum NotEnded {
    /// It is invalid.
    Problem(LogoutProblem),
    /// It would take several verifications, and its client has sent too many forgeries: for so many seconds more.
    TooManyForgeries(u64),
    /// It names an unknown key, and its client has caused too many fetches of keys: for so many seconds more.
    TooManyFetches(u64),
}

impl KeyProblem for NotEnded {
    fn is_unknown_key(&self) -> bool {
        matches!(self, Self::Problem(LogoutProblem::UnknownKey))
    }
}

impl Gate {
    /// Accepts a logout token.
    pub(super) fn backchannel_logout(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if !self.provider.is_configured() {
            return self.pages.refuse(request, Refusal::NotFound);
        }
        if !is_form(request) {
            return refuse_logout("a form with `logout_token` is expected");
        }
        // This comes before the body is read: a request that is held begins again without it.
        if self.provider.known().is_none() {
            return hold(env.now);
        }
        let Some(body) = request.body else {
            return Step::ReadBody { limit: MAX_BODY };
        };
        if body.len() > MAX_BODY {
            return refuse_logout("the form is too long");
        }
        match read_token(body) {
            Some(token) => self.end_by_logout_token(token, request.source, env),
            None => refuse_logout("one `logout_token` is expected"),
        }
    }

    /// Verifies a logout token and ends what it names.
    ///
    /// A token that names the known key that has signed it is always accepted. For each client, fetches of unknown keys are
    /// limited, and forgeries that cost more than one verification. A repeated forgery costs none.
    fn end_by_logout_token(
        &self,
        token: String,
        client: Option<IpAddr>,
        env: &mut Env<'_>,
    ) -> Step {
        let verified = verify_with_new_keys(
            || self.verify_logout_token(&token, client, env),
            || {
                let keys = self.provider.look_for_keys(client, env);
                keys.map_err(|TooManyFetches(seconds)| NotEnded::TooManyFetches(seconds))
            },
        );
        match verified {
            LookedUp::Verified(Ok(logout)) => Step::Reply(self.end_named(&logout, env)),
            LookedUp::Verified(Err(why)) => refuse_token(&why),
            LookedUp::Call(call) => {
                let waiting = ProviderLogout::new(token, client);
                Step::Call(call, Waiting::on(Flow::ProviderLogout(waiting)))
            }
        }
    }

    /// Verifies a logout token by keys that were fetched for it.
    pub(crate) fn end_by_new_keys(
        &self,
        token: &str,
        client: Option<IpAddr>,
        env: &mut Env<'_>,
    ) -> Step {
        match self.verify_logout_token(token, client, env) {
            Ok(logout) => Step::Reply(self.end_named(&logout, env)),
            Err(why) => refuse_token(&why),
        }
    }

    fn verify_logout_token(
        &self,
        token: &str,
        client: Option<IpAddr>,
        env: &Env<'_>,
    ) -> Result<LogoutToken, NotEnded> {
        let known = self.provider.known();
        let (provider, metadata) = known.ok_or(NotEnded::Problem(LogoutProblem::UnknownKey))?;
        let digest = digest_of(token);
        if self.provider.forged.has(&digest, &metadata, env.now) {
            return Err(NotEnded::Problem(LogoutProblem::Signature));
        }
        let wait = FORGERIES.wait(client, env);
        let expected = ExpectedLogout {
            issuer: &metadata.discovered.issuer,
            client_id: &provider.settings().client_id,
            now: env.now,
            most_keys: if wait.is_some() { 1 } else { MAX_TRIED },
        };
        let verified = logout_token::verify(token, &metadata.keys, &expected);
        if verified == Err(LogoutProblem::Signature) {
            self.provider.forged.remember(digest, &metadata, env.now);
            FORGERIES.count(client, env);
        }
        verified.map_err(|problem| match (problem, wait) {
            (LogoutProblem::TooManyKeys, Some(seconds)) => NotEnded::TooManyForgeries(seconds),
            (problem, _) => NotEnded::Problem(problem),
        })
    }

    /// Ends what a valid logout token names, once.
    fn end_named(&self, logout: &LogoutToken, env: &Env<'_>) -> Reply {
        let until = env.now.plus(MEMORY);
        let first = USED_TOKENS.update(env.shared, &logout.id, env.now, |used| match used {
            Some(_) => Err(false),
            None => Ok((Vec::new(), until, true)),
        });
        if first == Some(false) {
            return logout_error("the token was used before");
        }
        if revoke_named(logout, self.provider.issuer(), env) == Err(NotStored) {
            return logout_error("it could not be stored");
        }
        let what = if logout.session.is_some() {
            "one session"
        } else {
            "all sessions"
        };
        let whose = logout.subject.as_deref().unwrap_or_default();
        plain(
            200,
            "",
            format!("back-channel logout of {what} subject={whose:?}"),
        )
    }

    /// Answers the frame by which a page of the provider says that one of its sessions has ended. The browser sends no
    /// cookies into a frame of another site, so that the ids have to suffice.
    pub(super) fn frontchannel_logout(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if !self.provider.is_configured() {
            return self.pages.refuse(request, Refusal::NotFound);
        }
        let Some((stated, id)) = read_session_id(request.query()) else {
            return Step::Reply(refuse_frame(
                400,
                "iss and sid are expected\n",
                "front-channel logout refused: it names no session",
            ));
        };
        if !self.is_provider(&stated) {
            return Step::Reply(refuse_frame(
                400,
                "iss is another provider\n",
                "front-channel logout refused: it is another provider's",
            ));
        }
        let issuer = self.provider.issuer();
        let session = self.sessions.authenticate(request, env).session;
        let is_own = session.is_some_and(|session| session.provider_session.as_ref() == Some(&id));
        let known = PROVIDER_SESSIONS.find(env.shared, &entry_name(issuer, &id), env.now);
        if !is_own && known.is_none() {
            // For the provider's page this is a success: such a session is not signed in here.
            return Step::Reply(self.reply_in_frame("front-channel logout of an unknown session"));
        }
        let ended = revoke(&Revoked::ProviderSession { issuer, id: &id }, env);
        if ended == Err(NotStored) {
            let why = "front-channel logout failed: it could not be stored";
            let mut reply = refuse_frame(503, "not possible now\n", why);
            reply.add("retry-after", "5".to_owned());
            return Step::Reply(reply);
        }
        let mut reply = self.reply_in_frame("front-channel logout of one session");
        if is_own {
            let vault = &self.sessions.vault;
            reply = reply.with_cookies(vault.names.clear_session(&vault.read(request)));
        }
        Step::Reply(reply)
    }

    /// Returns whether a stated issuer is the provider's, as configured or as discovered.
    fn is_provider(&self, stated: &str) -> bool {
        let issuer = self.provider.issuer();
        let known = self.provider.known();
        stated.trim_end_matches('/') == issuer.trim_end_matches('/')
            || known.is_some_and(|(_, metadata)| is_issuer(&metadata.discovered.issuer, stated))
    }

    /// Remembers the provider's session with which a user has signed in.
    pub(super) fn remember_provider_session(&self, session: &Session, env: &Env<'_>) {
        let Some(id) = &session.provider_session else {
            return;
        };
        let until = session.expires_at();
        let name = entry_name(self.provider.issuer(), id);
        // Without the entry, a front-channel logout requires the cookie, which is no reason to refuse the sign-in.
        let _ = PROVIDER_SESSIONS.update(env.shared, &name, env.now, |known| match known {
            Some(_) => Err(()),
            None => Ok((Vec::new(), until, ())),
        });
    }

    /// Builds a reply that only the provider's pages may show in a frame.
    fn reply_in_frame(&self, event: &'static str) -> Reply {
        let mut reply = plain(200, "Signed out\n", event);
        let ancestors: Vec<String> = self.provider.page_origins().into_iter().collect();
        let policy = format!(
            "default-src 'none'; frame-ancestors {}",
            ancestors.join(" ")
        );
        reply.add("content-security-policy", policy);
        reply
    }
}

/// Revokes what a logout token names: one session, or all sessions of a user.
fn revoke_named(logout: &LogoutToken, issuer: &str, env: &Env<'_>) -> Result<(), NotStored> {
    match (&logout.session, &logout.subject) {
        (Some(id), subject) => {
            let session = revoke(&Revoked::ProviderSession { issuer, id }, env);
            let alone = subject.as_ref().map_or(Ok(()), |id| {
                revoke(&Revoked::SubjectAlone { issuer, id }, env)
            });
            session.and(alone)
        }
        (None, Some(id)) => revoke(&Revoked::Subject { issuer, id }, env),
        (None, None) => Ok(()),
    }
}

/// Returns whether the request says that its body is a form.
pub(super) fn is_form(request: &Parsed<'_>) -> bool {
    let mut types = request
        .headers
        .iter()
        .filter(|(name, _)| name == "content-type");
    let (Some((_, value)), None) = (types.next(), types.next()) else {
        return false;
    };
    let media = value.split(|&byte| byte == b';').next();
    media
        .unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// Returns the token in a form; it must be there exactly once.
fn read_token(body: &[u8]) -> Option<String> {
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (_, token) = tokens.next()?;
    tokens.next().is_none().then(|| token.into_owned())
}

/// Returns `iss` and `sid` of a query; each must be there exactly once.
fn read_session_id(query: &str) -> Option<(String, String)> {
    let (mut issuer, mut id) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*name {
            "iss" => &mut issuer,
            "sid" => &mut id,
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    let id = id.filter(|id: &String| !id.is_empty() && id.len() <= MAX_ID)?;
    Some((issuer?, id))
}

fn entry_name(issuer: &str, id: &str) -> String {
    format!("{issuer}\n{id}")
}

/// Answers a token that ends nothing.
fn refuse_token(why: &NotEnded) -> Step {
    match why {
        NotEnded::Problem(problem) => refuse_logout(&problem.to_string()),
        NotEnded::TooManyForgeries(seconds) => refuse_client(
            *seconds,
            "it does not name its key, and the signature of too many tokens of its client does not fit",
        ),
        NotEnded::TooManyFetches(seconds) => {
            refuse_client(*seconds, "too many of its tokens name unknown keys")
        }
    }
}

/// Answers a client whose tokens have cost too much, for so many seconds.
fn refuse_client(seconds: u64, why: &str) -> Step {
    let mut reply = json_error(429, "temporarily_unavailable", why);
    reply.add("retry-after", seconds.max(1).to_string());
    reply.event = format!("back-channel logout refused: {why}").into();
    Step::Reply(reply)
}

fn refuse_logout(why: &str) -> Step {
    Step::Reply(logout_error(why))
}

/// Returns the answer to a front-channel logout that ends nothing.
fn refuse_frame(status: u16, body: &str, why: &'static str) -> Reply {
    let mut reply = plain(status, body, why);
    reply.decision = ExplainedDecision::Deny;
    reply
}

/// Builds the response that the specification has for every error (section 2.8).
fn logout_error(why: &str) -> Reply {
    let mut reply = json_error(400, "invalid_request", why);
    reply.event = format!("back-channel logout refused: {why}").into();
    reply
}
