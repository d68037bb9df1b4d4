//! An OpenID provider whose responses a scenario chooses, valid or not.
//!
//! By default it is honest: it signs every browser in as [`HostileProvider::is`] at once, and signs its tokens
//! correctly. A scenario can replace the response at a path, or the making of ID tokens. It speaks GitHub's protocol,
//! too.

mod github;
mod keys;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

pub use keys::{ProviderKeys, SignedBy, part};

use crate::Registration;
use crate::stub::{Answer, Ending, Stub};

/// The client identifier of the proxy.
const CLIENT: &str = "rp";
/// The access token that every client gets.
const ACCESS_TOKEN: &str = "the-access-token";

/// A request that the provider has received.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method.
    pub method: Method,
    /// Path, without the query.
    pub path: String,
    /// Parameters of the query and of a form in the body.
    pub parameters: BTreeMap<String, String>,
    /// Headers.
    pub headers: HeaderMap,
    /// The nonce of the sign-in whose code this request is about, if any.
    pub nonce: Option<String>,
}

/// A scenario's own response; `None` breaks the connection off.
type Order = Arc<dyn Fn(&Asked) -> Option<Response<Bytes>> + Send + Sync>;

/// Makes an ID token of its honest claims.
type Forgery = Arc<dyn Fn(&ProviderKeys, Value) -> String + Send + Sync>;

/// A running hostile provider. Dropping it stops it.
pub struct HostileProvider {
    stub: Stub,
    shared: Arc<Shared>,
}

struct Shared {
    keys: ProviderKeys,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    issuer: String,
    account: String,
    more: Value,
    orders: HashMap<String, Order>,
    forgery: Option<Forgery>,
    token_members: Value,
    log: Vec<Asked>,
    nonces: HashMap<String, String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostileProvider {
    /// Starts a provider that signs every browser in as this account.
    ///
    /// # Errors
    /// Returns an error when there is no port.
    pub async fn start(account: &str) -> Result<Self> {
        let shared = Arc::new(Shared {
            keys: ProviderKeys::new()?,
            state: Mutex::new(State {
                account: account.to_owned(),
                more: json!({}),
                ..State::default()
            }),
        });
        let answering = Arc::clone(&shared);
        let answers = move |request: Request<Bytes>| -> Answer {
            let answer = answering.answer(request);
            Box::pin(std::future::ready(answer))
        };
        let stub = Stub::start(Arc::new(answers)).await?;
        shared.state().issuer = stub.address();
        Ok(Self { stub, shared })
    }

    /// Returns the registration for [`crate::Scene::registration`].
    #[must_use]
    pub fn registration(&self) -> Registration {
        Registration::openid(self.stub.address(), CLIENT.to_owned())
    }

    /// Returns the registration as a GitHub Enterprise server.
    #[must_use]
    pub fn as_github(&self) -> Registration {
        Registration {
            kind: "github",
            ..self.registration()
        }
    }

    /// Returns its keys.
    #[must_use]
    pub fn keys(&self) -> &ProviderKeys {
        &self.shared.keys
    }

    /// Signs browsers in as this account from now on; `more` are further claims of the ID token, or replacements.
    pub fn is(&self, account: &str, more: Value) {
        let mut state = self.shared.state();
        account.clone_into(&mut state.account);
        state.more = more;
    }

    /// Replaces the response at a path.
    pub fn order(
        &self,
        path: &str,
        order: impl Fn(&Asked) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) {
        self.shared
            .state()
            .orders
            .insert(path.to_owned(), Arc::new(order));
    }

    /// Replaces the making of ID tokens.
    pub fn forge(&self, forgery: impl Fn(&ProviderKeys, Value) -> String + Send + Sync + 'static) {
        self.shared.state().forgery = Some(Arc::new(forgery));
    }

    /// Changes members of honest responses of the token endpoint.
    pub fn order_tokens(&self, members: Value) {
        self.shared.state().token_members = members;
    }

    /// Removes all replacements.
    pub fn be_honest(&self) {
        let mut state = self.shared.state();
        state.orders.clear();
        state.forgery = None;
        state.token_members = Value::Null;
        state.more = json!({});
    }

    /// Takes the requests since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.state().log)
    }
}

impl Shared {
    fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        let asked = self.read(request);
        let order = {
            let mut state = self.state();
            state.log.push(asked.clone());
            state.orders.get(&asked.path).cloned()
        };
        match order {
            Some(order) => order(&asked),
            None => Some(self.honest(&asked)),
        }
    }

    fn read(&self, request: Request<Bytes>) -> Asked {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(&body));
        let parameters: BTreeMap<String, String> = pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let nonce = parameters
            .get("code")
            .and_then(|code| self.state().nonces.get(code).cloned());
        Asked {
            method: head.method,
            path: head.uri.path().to_owned(),
            parameters,
            headers: head.headers,
            nonce,
        }
    }

    fn honest(&self, asked: &Asked) -> Response<Bytes> {
        match asked.path.as_str() {
            "/.well-known/openid-configuration" => {
                json_answer(200, &discovery(&self.state().issuer))
            }
            "/jwks" => json_answer(200, &self.keys.set()),
            "/authorize" | github::AUTHORIZE => self.authorize(asked),
            "/token" => json_answer(200, &self.tokens(asked.nonce.as_deref())),
            "/me" => {
                let account = self.account();
                let body = json!({"sub": account, "email": account, "email_verified": true});
                json_answer(200, &body)
            }
            path => github::answer(path, &self.account(), &asked.headers)
                .unwrap_or_else(|| text_answer(404, "there is nothing here")),
        }
    }

    fn account(&self) -> String {
        self.state().account.clone()
    }

    /// The browser is redirected back at once, without a form.
    fn authorize(&self, asked: &Asked) -> Response<Bytes> {
        let parameter = |name: &str| asked.parameters.get(name).cloned().unwrap_or_default();
        let mut state = self.state();
        let code = format!("code-{}", state.nonces.len());
        state.nonces.insert(code.clone(), parameter("nonce"));
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("code", &code)
            .append_pair("state", &parameter("state"));
        if asked.path == "/authorize" {
            back.append_pair("iss", &state.issuer);
        }
        redirect_to(&format!("{}?{}", parameter("redirect_uri"), back.finish()))
    }

    fn tokens(&self, nonce: Option<&str>) -> Value {
        let (mut claims, more, forgery, members) = {
            let state = self.state();
            (
                honest_claims(&state.issuer, &state.account, nonce),
                state.more.clone(),
                state.forgery.clone(),
                state.token_members.clone(),
            )
        };
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let id_token = match forgery {
            Some(forgery) => forgery(&self.keys, claims),
            None => self.keys.honest(&claims),
        };
        let mut answer = json!({
            "access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
        });
        for (name, value) in members.as_object().into_iter().flatten() {
            answer[name] = value.clone();
        }
        answer
    }
}

fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "userinfo_endpoint": format!("{issuer}/me"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn honest_claims(issuer: &str, account: &str, nonce: Option<&str>) -> Value {
    let now = seconds();
    json!({
        "iss": issuer, "sub": account, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce,
        "email": account, "email_verified": true,
    })
}

/// Returns the time in whole seconds since 1970, for claims.
#[must_use]
pub fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Returns a response in JSON.
#[must_use]
pub fn json_answer(status: u16, body: &Value) -> Response<Bytes> {
    answer(status, "application/json", body.to_string())
}

/// Returns a response in plain text.
#[must_use]
pub fn text_answer(status: u16, body: &str) -> Response<Bytes> {
    answer(status, "text/plain", body.to_owned())
}

/// Returns the same response with a body that does not end correctly.
#[must_use]
pub fn ending(mut answer: Response<Bytes>, ending: Ending) -> Response<Bytes> {
    answer.extensions_mut().insert(ending);
    answer
}

/// Returns a redirect with status 302.
#[must_use]
pub fn redirect_to(address: &str) -> Response<Bytes> {
    let mut answer = text_answer(302, "");
    if let Ok(address) = HeaderValue::from_str(address) {
        answer.headers_mut().insert(LOCATION, address);
    }
    answer
}

fn answer(status: u16, kind: &'static str, body: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
