//! A second real OpenID provider with different behaviour: Glewlwyd, from Debian's packages, unpacked into the build
//! folder.
//!
//! Its subjects are no email addresses, its refresh responses have no ID token, its logout tokens have no `exp` and no
//! type of their own, and it refuses a code with 403.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use url::Url;

use crate::stub::{Answer, Stub};
use crate::{
    Dialer, Installed, Port, Process, Registration, Response, Scene, UserAgent, eventually,
    output_of,
};

/// Debian's SQL statements that create an empty database with an administrator, below the folder of its packages.
const SCHEMA: &str = "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
/// The administrator's password in that database.
const ADMINISTRATOR: &str = "password";
/// Codes with PKCE only, refresh tokens for one use, sessions that can be ended.
const PARAMETERS: &str = include_str!("../peers/glewlwyd.json");
/// The one user's password.
const PASSWORD: &str = "only-for-tests";
/// The identifier of the client.
const CLIENT: &str = "jetway";
/// The cookie that names a session, by the `sid` of its ID tokens.
const SESSION_COOKIE: &str = "GLWD_OIDC_SESSION";

/// A running Glewlwyd with one user and one client.
pub struct Glewlwyd {
    address: String,
    _port: Port,
    _process: Process,
    /// Glewlwyd trusts only the system's authorities and does not resolve every `*.localhost`.
    _relay: Stub,
}

impl Glewlwyd {
    /// Starts it for the scene: its client has the scene's secret, and may redirect browsers to `host`, which also gets
    /// the back-channel logouts. Its user is `account`.
    ///
    /// # Errors
    /// Returns an error when it does not start or rejects its settings.
    pub async fn start(scene: &Scene, host: &str, account: &str) -> Result<Self> {
        let folder = scene.folder().join("glewlwyd");
        std::fs::create_dir(&folder)?;
        let port = Port::reserve()?;
        let address = format!("http://127.0.0.1:{}", port.number());
        let packages = Installed::locate()?.glewlwyd;
        let database = create_database(&packages, &folder)?;
        let file = folder.join("glewlwyd.conf");
        let modules = packages.join("usr/lib/glewlwyd");
        let text = configuration(port.number(), &address, &Places { modules, database });
        std::fs::write(&file, text)?;
        let mut command = unpacked(&packages, "glewlwyd")?;
        command.arg(format!("--config-file={}", file.display()));
        let mut process = Process::start("glewlwyd", &command, scene.logs())?;

        let origin = scene.url(host, "/")?;
        let relay = relay_to(scene.dialer.clone(), origin.clone()).await?;
        let mut administrator = Api {
            address: address.clone(),
            user_agent: scene.user_agent(),
        };
        eventually("Glewlwyd answers", Duration::from_secs(20), async || {
            process.ensure_running()?;
            administrator.sign_in("admin", ADMINISTRATOR).await
        })
        .await?;
        administrator
            .post("/mod/plugin/", &plugin(&address)?)
            .await?;
        for scope in ["email", "profile", "offline_access"] {
            let scope = json!({
                "name": scope, "display_name": scope, "description": scope, "password_required": false,
                "password_max_age": 0, "scheme": {},
            });
            administrator.post("/scope/", &scope).await?;
        }
        let client = client(&scene.secrets.client, &origin, &relay)?;
        administrator.post("/client/", &client).await?;
        let user = json!({
            "username": account, "name": "Somebody", "email": account, "enabled": true, "password": PASSWORD,
            "scope": ["g_profile", "openid", "email", "profile", "offline_access"],
        });
        administrator.post("/user/", &user).await?;
        Ok(Self {
            address,
            _port: port,
            _process: process,
            _relay: relay,
        })
    }

    /// Returns the registration for [`Scene::registration`].
    #[must_use]
    pub fn registration(&self) -> Registration {
        Registration::openid(self.issuer(), CLIENT.to_owned())
    }

    fn issuer(&self) -> String {
        format!("{}/api/oidc", self.address)
    }

    /// Opens an address of the proxy that needs a session, signs in, and returns the response of the address.
    ///
    /// # Errors
    /// Returns an error when the redirects do not lead to Glewlwyd and back.
    pub async fn sign_in(
        &self,
        user_agent: &mut UserAgent,
        url: &Url,
        account: &str,
    ) -> Result<(Url, Response)> {
        let mut authorize = user_agent.way_to(&self.issuer(), url).await?;
        // The request that its page sends with a script.
        let mut api = Api {
            address: self.address.clone(),
            user_agent: user_agent.clone(),
        };
        api.sign_in(account, PASSWORD).await?;
        let granted = json!({"scope": "openid email profile offline_access"});
        api.send(Method::PUT, &format!("/auth/grant/{CLIENT}"), &granted)
            .await?;
        authorize.query_pairs_mut().append_key_only("g_continue");
        *user_agent = api.user_agent;
        user_agent.follow(&authorize).await
    }

    /// Ends the user's session at Glewlwyd, which informs the proxy through its back channel.
    ///
    /// # Errors
    /// Returns an error when there is no session.
    pub async fn end_session(&self, user_agent: &mut UserAgent) -> Result<()> {
        let url = Url::parse(&self.issuer())?;
        let cookies = user_agent.cookie_pairs(&url);
        let session = cookies.into_iter().find(|(name, _)| name == SESSION_COOKIE);
        let (_, session) = session.context("Glewlwyd has set its session's cookie")?;
        let url = Url::parse(&format!("{}/session/{session}/", self.issuer()))?;
        let answer = user_agent.send(Method::DELETE, &url, HeaderMap::new(), Bytes::new());
        answer.await?.expect(200).map(drop)
    }
}

/// Glewlwyd's own interface, which its pages use.
struct Api {
    address: String,
    user_agent: UserAgent,
}

impl Api {
    async fn sign_in(&mut self, username: &str, password: &str) -> Result<()> {
        let credentials = json!({"username": username, "password": password});
        self.post("/auth/", &credentials).await
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<()> {
        self.send(Method::POST, path, body).await
    }

    async fn send(&mut self, method: Method, path: &str, body: &Value) -> Result<()> {
        let url = Url::parse(&format!("{}/api{path}", self.address))?;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let answer = self
            .user_agent
            .send(method, &url, headers, Bytes::from(body.to_string()))
            .await?;
        answer
            .expect(200)
            .map(drop)
            .with_context(|| format!("Glewlwyd at {path}"))
    }
}

/// A program among the unpacked packages, otherwise the system's, with the libraries among them.
fn unpacked(packages: &Path, program: &str) -> Result<Command> {
    let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
    let libraries = ["usr/lib", "lib"].map(|folder| packages.join(folder).join(&architecture));
    let mut programs = vec![packages.join("usr/bin")];
    programs.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let mut command = Command::new(program);
    command
        .env("PATH", std::env::join_paths(programs)?)
        .env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
    Ok(command)
}

fn create_database(packages: &Path, folder: &Path) -> Result<PathBuf> {
    let database = folder.join("glewlwyd.db");
    let schema = packages.join(SCHEMA);
    let mut sqlite = unpacked(packages, "sqlite3")?;
    sqlite
        .arg("-bail")
        .arg(&database)
        .arg(format!(".read {}", schema.display()));
    output_of(&mut sqlite).context("the database of Glewlwyd")?;
    Ok(database)
}

/// The values that its configuration names.
struct Places {
    modules: PathBuf,
    database: PathBuf,
}

fn configuration(port: u16, address: &str, places: &Places) -> String {
    let modules = places.modules.display();
    format!(
        r#"port={port}
bind_address="127.0.0.1"
external_url="{address}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="WARNING"
cookie_secure=0
session_expiration=3600
session_key="GLEWLWYD2_SESSION_ID"
admin_session_authentication="cookie"
profile_session_authentication="cookie"
login_api_enabled=true
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
use_secure_connection=false
secure_connection_key_file="/nowhere"
secure_connection_pem_file="/nowhere"
secure_connection_ca_file="/nowhere"
hash_algorithm="SHA512"
database={{ type="sqlite3"; path="{}"; }};
"#,
        places.database.display()
    )
}

/// The OpenID part, with its issuer and a new key.
fn plugin(address: &str) -> Result<Value> {
    let mut parameters: Value = serde_json::from_str(PARAMETERS)?;
    let key = key()?;
    parameters["iss"] = json!(format!("{address}/api/oidc"));
    parameters["key"] = json!(key.serialize_pem());
    parameters["cert"] = json!(key.public_key_pem());
    parameters["session-cookie-name"] = json!(SESSION_COOKIE);
    Ok(json!({"module": "oidc", "name": "oidc", "display_name": "oidc", "parameters": parameters}))
}

/// A key on P-256 neither of whose coordinates begins with a zero: Glewlwyd leaves such zeros out of its key set, and a key
/// that is written so is none (RFC 7518 section 6.2.1.2).
fn key() -> Result<KeyPair> {
    loop {
        let key = KeyPair::generate()?;
        // An uncompressed point: the byte 4 and two coordinates of 32 bytes (SEC 1 section 2.3.3).
        let point = key.public_key_raw();
        if point.get(1) != Some(&0) && point.get(33) != Some(&0) {
            return Ok(key);
        }
    }
}

fn client(secret: &str, origin: &Url, relay: &Stub) -> Result<Value> {
    let below = |path: &str| origin.join(path).map(String::from);
    Ok(json!({
        "client_id": CLIENT, "name": CLIENT, "confidential": true, "enabled": true,
        "password": secret, "client_secret": secret,
        "redirect_uri": [below("/.pomerium/callback")?, below("/oauth2/callback")?],
        "authorization_type": ["code", "refresh_token"], "token_endpoint_auth_method": ["client_secret_basic"],
        "scope": [], "post_logout_redirect_uris": below("/.pomerium/signed_out")?,
        "backchannel_logout_uri": format!("{}/.pomerium/backchannel_logout", relay.address()),
        "backchannel_logout_session_required": "true",
    }))
}

/// Passes every request on to the proxy.
async fn relay_to(dialer: Dialer, origin: Url) -> Result<Stub> {
    let answers = move |request: http::Request<Bytes>| -> Answer {
        let (dialer, origin) = (dialer.clone(), origin.clone());
        Box::pin(async move { Some(pass_on(&dialer, &origin, request).await) })
    };
    Stub::start(Arc::new(answers)).await
}

async fn pass_on(
    dialer: &Dialer,
    origin: &Url,
    mut request: http::Request<Bytes>,
) -> http::Response<Bytes> {
    request.headers_mut().remove("host");
    request.headers_mut().remove("expect");
    let mut answer = http::Response::new(Bytes::new());
    *answer.status_mut() = match dialer.exchange(origin, request).await {
        Ok(response) => response.status,
        Err(_) => StatusCode::BAD_GATEWAY,
    };
    answer
}
