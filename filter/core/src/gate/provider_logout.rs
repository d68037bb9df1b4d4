//! The provider ends a session of its own, and ours with it: OpenID Connect Back-Channel Logout 1.0 and Front-Channel
//! Logout 1.0.

use std::collections::BTreeSet;
use std::net::IpAddr;

use url::form_urlencoded;

use super::Gate;
use super::forged::digest_of;
use super::key_lookup::TooManyFetches;
use super::sign_in::hold;
use crate::config::Origin;
use crate::env::Env;
use crate::gate::address_limit::AddressLimit;
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
/// What the provider's page shows in a frame, registered there as the client's front-channel logout URI.
pub(super) const FRONTCHANNEL_LOGOUT: &str = "/.pomerium/frontchannel_logout";

/// Longest body with a logout token. Such tokens have about one KB.
const MAX_BODY: usize = 16 * 1024;

/// Logout tokens that were used, until they are too old anyway. The provider alone fills them.
const USED_TOKENS: ExpiringTable = ExpiringTable {
    kind: "logout tokens",
    count: 8,
    bytes: 16 * 1024,
};
/// Names of provider sessions that somebody has signed in with.
///
/// A front-channel logout is nobody's word: without this, anybody could fill the list of revocations with names that no
/// session has. For a session that gave way here, the browser's own cookie is asked for.
const PROVIDER_SESSIONS: ExpiringTable = ExpiringTable {
    kind: "provider sessions",
    count: 64,
    bytes: 32 * 1024,
};

/// How many logout tokens that no key has signed are tried by all keys that may be meant, for one client address: such a
/// token costs up to [`MAX_TRIED`] signatures of one to three milliseconds. Beyond that a token may cost one signature, so
/// that a good one that names its key counts, from whatever address it comes.
const FORGERIES: AddressLimit = AddressLimit {
    counts: ExpiringTable {
        kind: "forged logout tokens",
        count: 16,
        bytes: 8 * 1024,
    },
    most: 30,
    seconds: 60,
};

/// Why a logout token ends nothing.
enum NotEnded {
    /// It does not hold.
    Problem(LogoutProblem),
    /// It would take several signatures to tell, and its client has sent too many forgeries: for so many seconds more.
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
    /// Takes a logout token.
    pub(super) fn backchannel_logout(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if self.provider.is_none() {
            return self.refuse(request, Refusal::NotFound);
        }
        if !is_form(request) {
            return refuse_logout("a form with `logout_token` is expected");
        }
        // Before the body is read: a request that is held begins again without it.
        if self.known_provider().is_none() {
            return hold(env.now);
        }
        let Some(body) = request.body else {
            return Step::ReadBody { limit: MAX_BODY };
        };
        if body.len() > MAX_BODY {
            return refuse_logout("the form is too long");
        }
        match read_token(body) {
            Some(token) => self.end_by_token(token, request.source, env),
            None => refuse_logout("one `logout_token` is expected"),
        }
    }

    /// Judges a logout token and ends what it names.
    ///
    /// A token that names the known key that has signed it counts whatever else comes: limited for each client are the
    /// fetches of keys that are not known, and forgeries that cost more than one signature. One that is repeated costs
    /// none.
    fn end_by_token(&self, token: String, client: Option<IpAddr>, env: &mut Env<'_>) -> Step {
        let verified = verify_with_new_keys(
            || self.verify_logout(&token, client, env),
            || {
                let keys = self.look_for_keys(client, env);
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

    /// Judges a logout token by keys that were fetched for it.
    pub(crate) fn end_by_new_keys(
        &self,
        token: &str,
        client: Option<IpAddr>,
        env: &mut Env<'_>,
    ) -> Step {
        match self.verify_logout(token, client, env) {
            Ok(logout) => Step::Reply(self.end_named(&logout, env)),
            Err(why) => refuse_token(&why),
        }
    }

    fn verify_logout(
        &self,
        token: &str,
        client: Option<IpAddr>,
        env: &Env<'_>,
    ) -> Result<LogoutToken, NotEnded> {
        let known = self.known_provider();
        let (provider, metadata) = known.ok_or(NotEnded::Problem(LogoutProblem::UnknownKey))?;
        let digest = digest_of(token);
        if self.forged.has(&digest, &metadata, env.now) {
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
            self.forged.remember(digest, &metadata, env.now);
            FORGERIES.count(client, env);
        }
        verified.map_err(|problem| match (problem, wait) {
            (LogoutProblem::TooManyKeys, Some(seconds)) => NotEnded::TooManyForgeries(seconds),
            (problem, _) => NotEnded::Problem(problem),
        })
    }

    /// Ends what a good logout token names, once.
    fn end_named(&self, logout: &LogoutToken, env: &Env<'_>) -> Reply {
        let until = env.now.plus(MEMORY);
        let first = USED_TOKENS.update(env.shared, &logout.id, env.now, |used| match used {
            Some(_) => Err(false),
            None => Ok((Vec::new(), until, true)),
        });
        if first == Some(false) {
            return refused_logout("the token was used before");
        }
        let issuer = self.issuer();
        let ended = match (&logout.session, &logout.subject) {
            (Some(id), subject) => {
                let session = revoke(&Revoked::ProviderSession { issuer, id }, env);
                let alone = subject.as_ref().map_or(Ok(()), |id| {
                    revoke(&Revoked::SubjectAlone { issuer, id }, env)
                });
                session.and(alone)
            }
            (None, Some(id)) => revoke(&Revoked::Subject { issuer, id }, env),
            (None, None) => Ok(()),
        };
        if ended == Err(NotStored) {
            return refused_logout("it could not be stored");
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

    /// Answers the frame by which a provider's page tells that one of its sessions is over. The browser sends none of our
    /// cookies into a frame of another site, so that names alone have to do.
    pub(super) fn frontchannel_logout(&self, request: &Parsed<'_>, env: &mut Env<'_>) -> Step {
        if self.provider.is_none() {
            return self.refuse(request, Refusal::NotFound);
        }
        let Some((stated, id)) = read_names(request.query()) else {
            return Step::Reply(plain(
                400,
                "iss and sid are expected\n",
                "front-channel logout refused: it names no session",
            ));
        };
        let issuer = self.issuer();
        let is_configured = stated.trim_end_matches('/') == issuer.trim_end_matches('/');
        let known = self.known_provider();
        let is_known =
            known.is_some_and(|(_, metadata)| is_issuer(&metadata.discovered.issuer, &stated));
        if !is_configured && !is_known {
            return Step::Reply(plain(
                400,
                "iss is another provider\n",
                "front-channel logout refused: it is another provider's",
            ));
        }
        let visit = self.visit(request, env).session;
        let is_own = visit.is_some_and(|session| session.provider_session.as_ref() == Some(&id));
        let known = PROVIDER_SESSIONS.find(env.shared, &shelf_name(issuer, &id), env.now);
        if !is_own && known.is_none() {
            // To the provider's page it is all the same: such a session is not signed in here.
            return Step::Reply(
                self.framed("front-channel logout of an unknown session".to_owned()),
            );
        }
        let ended = revoke(&Revoked::ProviderSession { issuer, id: &id }, env);
        if ended == Err(NotStored) {
            let why = "front-channel logout failed: it could not be stored";
            let mut reply = plain(503, "not possible now\n", why);
            reply.add("retry-after", "5".to_owned());
            return Step::Reply(reply);
        }
        let mut reply = self.framed("front-channel logout of one session".to_owned());
        if is_own {
            let own = request.own_cookies(&self.cookies);
            reply = reply.with_cookies(self.cookies.clear_session(&own));
        }
        Step::Reply(reply)
    }

    /// Remembers with which session of the provider somebody has signed in.
    pub(super) fn remember_provider_session(&self, session: &Session, env: &Env<'_>) {
        let Some(id) = &session.provider_session else {
            return;
        };
        let until = session.expires_at();
        let name = shelf_name(self.issuer(), id);
        // Without it a front-channel logout asks for the cookie: no reason to keep anybody out.
        let _ = PROVIDER_SESSIONS.update(env.shared, &name, env.now, |known| match known {
            Some(_) => Err(()),
            None => Ok((Vec::new(), until, ())),
        });
    }

    /// An answer that the provider's pages, and no others, may show in a frame.
    fn framed(&self, event: String) -> Reply {
        let mut reply = plain(200, "Signed out\n", event);
        let ancestors: Vec<String> = self.provider_pages().into_iter().collect();
        let policy = format!(
            "default-src 'none'; frame-ancestors {}",
            ancestors.join(" ")
        );
        reply.add("content-security-policy", policy);
        reply
    }

    /// Origins of the provider's pages.
    fn provider_pages(&self) -> BTreeSet<String> {
        let settings = self.provider.as_ref().map(|provider| provider.settings());
        let mut pages: BTreeSet<String> = settings
            .into_iter()
            .map(|settings| settings.origin.to_string())
            .collect();
        if let Some((_, metadata)) = self.known_provider() {
            let discovered = &metadata.discovered;
            let addresses = std::iter::once(&discovered.authorization_endpoint)
                .chain(&discovered.end_session_endpoint);
            pages.extend(
                addresses
                    .filter_map(Origin::of)
                    .map(|page| page.to_string()),
            );
        }
        pages
    }
}

/// Whether the body is said to be a form.
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

/// The token in a form; it may stand there once.
fn read_token(body: &[u8]) -> Option<String> {
    let mut tokens = form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (_, token) = tokens.next()?;
    tokens.next().is_none().then(|| token.into_owned())
}

/// `iss` and `sid` of a query; each has to stand there once.
fn read_names(query: &str) -> Option<(String, String)> {
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

fn shelf_name(issuer: &str, id: &str) -> String {
    format!("{issuer}\n{id}")
}

/// The answer to a token that ends nothing.
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

/// The answer to a client whose tokens have cost too much, for so many seconds.
fn refuse_client(seconds: u64, why: &str) -> Step {
    let mut reply = json_error(429, "temporarily_unavailable", why);
    reply.add("retry-after", seconds.max(1).to_string());
    reply.event = format!("back-channel logout refused: {why}").into();
    Step::Reply(reply)
}

fn refuse_logout(why: &str) -> Step {
    Step::Reply(refused_logout(why))
}

/// What the specification has for whatever is wrong (section 2.8).
fn refused_logout(why: &str) -> Reply {
    let mut reply = json_error(400, "invalid_request", why);
    reply.event = format!("back-channel logout refused: {why}").into();
    reply
}
