//! `jetway-demo`: Jetway in front of Cockpit, with a demo provider and a certificate that is created for each run. It
//! is a separate program, so that `jetway` itself contains no code that signs users in.
#![forbid(unsafe_code)]

mod certificate;
mod introduction;
mod place;
mod probe;
mod provider;
mod route;
mod session_socket;
mod unix_accounts;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use jetway::LogArgs;
use jetway_core::config::{Config, Loaded};
use jetway_proxy::callouts::ProviderAccess;
use jetway_proxy::limits;
use jetway_proxy::serve::{self, ProcessFacts, Settings};
use jetway_proxy::tls::{Certificates, Chain, TicketKeys, Trust};
use serde_json::Value;

use certificate::ThrowAway;
use introduction::Introduction;
use place::Place;
use probe::{Finding, probe};
use provider::{Client, Listening, Owners, Provider, Rights};
use route::{DemoConfig, Upstream};
use session_socket::SessionSocket;
use unix_accounts::AccountPlan;

/// Port of the application when `--address` has none.
const APPLICATION_PORT: u16 = 8443;
/// Bytes of the cookie secret: the size of every sealing key.
const COOKIE_SECRET_BYTES: usize = 32;

/// Try Jetway in front of Cockpit with made-up accounts. Not for production.
///
/// Starts the proxy with a route to Cockpit, a demo OpenID provider where anyone can sign in as alice, bob or mallory,
/// and a certificate that is discarded at the end.
#[derive(Debug, Parser)]
#[command(
    name = "jetway-demo",
    version,
    max_term_width = 100,
    after_help = "On a server that you reach from your laptop: jetway-demo --host SERVER --address 0.0.0.0"
)]
struct DemoArgs {
    /// Name in the browser's address bar.
    #[arg(long, value_name = "NAME", default_value = "cockpit.localhost", value_parser = host)]
    host: String,
    /// IP address to listen on, with or without a port; other machines can connect unless it is a loopback address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443", value_parser = listening_address)]
    address: SocketAddr,
    /// Port of the demo provider, on the same IP address.
    #[arg(long, value_name = "PORT", default_value_t = 8444, value_parser = clap::value_parser!(u16).range(1..))]
    provider_port: u16,
    /// Address of Cockpit.
    #[arg(
        long,
        value_name = "URL",
        env = "COCKPIT_URL",
        default_value = "http://localhost:9090"
    )]
    upstream: Upstream,
    /// Write the certificate of the demo's authority to this file, so that a browser or curl can trust it.
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    /// Log users in to the Cockpit of this machine without a password. This folder holds the files for it; it must
    /// belong to root and be readable by Cockpit. --probe prints the configuration that Cockpit needs. Only on a
    /// loopback address, as anyone can sign in as alice.
    #[arg(long, value_name = "FOLDER")]
    session_folder: Option<PathBuf>,
    /// The Unix user that alice and bob become [default: one for each, created for the demo and removed at its end; that of
    /// alice gets administrative access].
    #[arg(long, value_name = "NAME")]
    unix_user: Option<String>,
    /// Let Cockpit ask for a password, even with --session-folder.
    #[arg(long)]
    password: bool,
    /// Only print whether Cockpit is ready for users (ready, refuses, unknown or silent) and the configuration that it
    /// needs.
    #[arg(long)]
    probe: bool,
    #[command(flatten)]
    log: LogArgs,
}

fn main() -> ExitCode {
    let args = DemoArgs::parse();
    jetway::program(&args.log, !args.probe, || run(&args))
}

/// Runs the demo until a signal stops it.
///
/// # Errors
/// Returns an error for an address that is in use, or when the system has no random bytes, threads or signals to give.
fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let place = Place::new(&args.host, args.address, args.provider_port);
    if place.listen() == place.provider_listen() {
        bail!(
            "application and demo provider cannot share port {}: choose --provider-port",
            args.provider_port
        );
    }
    let client = Client::register(&place.application())?;
    let session_folder = args.session_folder(&place);
    let plan = session_folder
        .filter(|_| !args.probe)
        .map(|_| args.plan_accounts())
        .transpose()?;
    let unix_users = plan.as_ref().map(AccountPlan::users);
    let secret = cookie_secret()?;
    let file = DemoConfig {
        place: &place,
        client: &client,
        upstream: &args.upstream,
        cookie_secret: &secret,
        unix_users,
    }
    .to_json();
    let config = read(&file)?;
    let mut cockpit_conf =
        jetway::cockpit_conf_section(&config, &config.routes.iter().collect::<Vec<_>>())?;
    cockpit_conf.extend(session_folder.map(SessionSocket::cockpit_conf));
    let finding = probe(&args.upstream, &place.application());
    if args.probe {
        return jetway::print(format!("{}\n{cockpit_conf}", word(&finding)).as_bytes());
    }

    let certificate = ThrowAway::make(place.certificate_names())?;
    if let Some(path) = &args.authority {
        std::fs::write(path, &certificate.authority)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let socket = session_folder
        .map(|folder| open_socket(folder, &args.host, &config))
        .transpose()?;
    let rights = plan.as_ref().map_or(Rights::Shared, AccountPlan::rights);
    let owners = match &plan {
        Some(_) => Owners::of_this_process(),
        None => Owners::Anyone,
    };
    let provider = Provider::new(place.issuer().to_string(), client, owners, rights);
    let helpers = Helpers {
        provider: start_provider(&place, provider, &certificate)?,
        socket,
    };
    let introduction = Introduction {
        place: &place,
        upstream: &args.upstream,
        finding: &finding,
        cockpit_conf: &cockpit_conf,
        fingerprint: &certificate.fingerprint,
        unix_users,
        rights,
    };
    let settings = settings(&place, config, file, &certificate)?;
    serve(settings, plan.as_ref(), helpers, introduction.text())
}

/// The parts of the demo beside the proxy. Dropping them stops them.
struct Helpers {
    provider: Listening,
    socket: Option<SessionSocket>,
}

/// Creates the accounts and serves until a signal comes; then removes the accounts, and says so.
fn serve(
    settings: Settings,
    plan: Option<&AccountPlan>,
    helpers: Helpers,
    introduction: String,
) -> anyhow::Result<()> {
    let mut accounts = None;
    let prepare = || {
        accounts = plan.map(AccountPlan::create).transpose()?;
        Ok(settings)
    };
    let ended = serve::run(prepare, |_| jetway::announce(introduction));
    drop(helpers.provider);
    // Sessions end before their accounts are removed.
    drop(helpers.socket);
    if let Some(accounts) = accounts {
        // The terminal may be closed.
        let _ = jetway::print(accounts.remove().as_bytes());
    }
    ended
}

impl DemoArgs {
    /// Plans the Unix users of alice and bob.
    fn plan_accounts(&self) -> anyhow::Result<AccountPlan> {
        match &self.unix_user {
            Some(name) => AccountPlan::existing(name),
            None => AccountPlan::new(),
        }
    }

    /// Returns the folder of single sign-on, if it is wanted and no other machine can connect.
    fn session_folder(&self, place: &Place) -> Option<&Path> {
        let wanted = !self.password && !place.is_open_to_others();
        self.session_folder.as_deref().filter(|_| wanted)
    }
}

fn open_socket(folder: &Path, host: &str, config: &Config) -> anyhow::Result<SessionSocket> {
    let key = config.identity.signing_key.as_ref();
    let keys = key.context("the demo has no signing key")?.key_set();
    SessionSocket::open(folder, host, &keys)
}

fn start_provider(
    place: &Place,
    provider: Provider,
    certificate: &ThrowAway,
) -> anyhow::Result<Listening> {
    let tls = Certificates::Tls(vec![chain(certificate)?])
        .server_config(&TicketKeys::generate()?)?
        .context("the demo provider has no TLS")?;
    let mut tls = Arc::unwrap_or_clone(tls);
    // The demo provider speaks HTTP/1.1 only.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Listening::start(
        provider,
        place.provider_listen(),
        Arc::new(tls),
    )?)
}

fn settings(
    place: &Place,
    config: Config,
    file: Value,
    certificate: &ThrowAway,
) -> anyhow::Result<Settings> {
    Ok(Settings {
        process: ProcessFacts::default(),
        config,
        file,
        certificates: Certificates::Tls(vec![chain(certificate)?]),
        addresses: vec![place.listen()],
        workers: serve::default_workers(),
        module: jetway::FILTER,
        // The demo leaves nothing behind.
        module_cache: None,
        provider_access: ProviderAccess {
            trust: Trust::Pem(certificate.authority.as_str().into()),
            address: Some(place.provider_from_here()),
        },
        open_files: limits::raise_open_files()?,
        drain_time: limits::GRACE,
    })
}

fn chain(certificate: &ThrowAway) -> anyhow::Result<Chain> {
    Chain::from_pem(
        "the demo's certificate",
        certificate.certificate.as_bytes(),
        certificate.key.as_bytes(),
    )
}

/// Reads the demo's configuration without the environment, so that the demo is the same everywhere.
fn read(file: &Value) -> anyhow::Result<Config> {
    let Loaded { config, .. } =
        Config::read(file, &|_| None).context("the demo's configuration cannot be used")?;
    Ok(config)
}

fn cookie_secret() -> anyhow::Result<String> {
    let mut bytes = [0; COOKIE_SECRET_BYTES];
    getrandom::fill(&mut bytes).context("no random bytes from the system")?;
    Ok(STANDARD.encode(bytes))
}

/// Returns the finding as a word for scripts.
fn word(finding: &Finding) -> &'static str {
    match finding {
        Finding::Ready => "ready",
        Finding::RefusesOrigin => "refuses",
        Finding::Unknown(_) => "unknown",
        Finding::Silent(_) => "silent",
    }
}

/// Parses a host as it appears in a URL.
fn host(text: &str) -> anyhow::Result<String> {
    // A bare IPv6 address gets brackets.
    let text = match IpAddr::from_str(text) {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => text.to_owned(),
    };
    let parsed = url::Host::parse(&text);
    parsed
        .map(|host| host.to_string())
        .with_context(|| format!("`{text}` is no host name; the port goes to --address"))
}

/// Parses an IP address with a port, or with the default port.
fn listening_address(text: &str) -> anyhow::Result<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = match IpAddr::from_str(bare) {
        Ok(ip) => SocketAddr::new(ip, APPLICATION_PORT),
        Err(_) => SocketAddr::from_str(text).with_context(|| {
            format!("`{text}` is no IP address: write it as `0.0.0.0` or `0.0.0.0:8443`")
        })?,
    };
    if address.port() == 0 {
        bail!("`{text}` has no fixed port, which the demo's configuration needs");
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::{host, listening_address};

    #[test]
    fn a_host_has_no_port() {
        assert_eq!(host("Server.Example").unwrap(), "server.example");
        assert_eq!(host("2001:db8::1").unwrap(), "[2001:db8::1]");
        assert_eq!(host("192.0.2.5").unwrap(), "192.0.2.5");
        assert!(
            host("server.example:8443")
                .unwrap_err()
                .to_string()
                .contains("--address")
        );
        assert!(host("https://server.example").is_err());
    }

    #[test]
    fn an_address_may_leave_out_its_port() {
        assert_eq!(
            listening_address("0.0.0.0").unwrap(),
            "0.0.0.0:8443".parse().unwrap()
        );
        assert_eq!(
            listening_address("::1").unwrap(),
            "[::1]:8443".parse().unwrap()
        );
        assert_eq!(
            listening_address("[::1]:9000").unwrap(),
            "[::1]:9000".parse().unwrap()
        );
        assert!(listening_address("127.0.0.1:0").is_err());
        assert!(
            listening_address("localhost")
                .unwrap_err()
                .to_string()
                .contains("0.0.0.0")
        );
    }
}
