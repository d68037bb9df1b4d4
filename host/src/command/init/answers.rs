//! The contents of a first configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jetway_core::config::needs_provider_url;
use jetway_core::secret::Secret;
use jetway_core::session::unix_user::UnixUser;

use super::InitArgs;
use super::prompt::{Asker, Question};

/// Where Cockpit listens on its own machine.
const COCKPIT: &str = "http://localhost:9090";
/// Where a listener without TLS is expected by default: no other machine reaches it.
const BEHIND_TLS: &str = "127.0.0.1:8080";

/// Every answer; nothing is missing.
#[derive(Debug)]
pub(super) struct Answers {
    /// Public host name.
    pub(super) host: String,
    /// Address of the application.
    pub(super) upstream: String,
    /// The application is Cockpit.
    pub(super) is_cockpit: bool,
    /// The provider.
    pub(super) provider: ProviderAnswers,
    /// The addresses and domains that may enter; never empty.
    pub(super) allowed: Vec<Allowed>,
    /// The Unix users of single sign-on; `None` without single sign-on.
    pub(super) users: Option<UnixUsers>,
    /// How clients connect.
    pub(super) listener: ListenerAnswer,
}

/// Answers about the provider.
#[derive(Debug)]
pub(super) struct ProviderAnswers {
    pub(super) name: String,
    pub(super) url: Option<String>,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
}

/// Users that may enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// One address.
    Email(String),
    /// Every address of a domain.
    Domain(String),
}

/// The Unix users of single sign-on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UnixUsers {
    /// By address.
    pub(super) by_address: Vec<(String, String)>,
    /// Domains whose users have the Unix user of their local part.
    pub(super) local_part_of: Vec<String>,
}

/// How clients connect.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListenerAnswer {
    /// By TLS, with this chain and this key.
    Tls(PathBuf, PathBuf),
    /// Without TLS, at this address.
    Plain(String),
}

impl Answers {
    /// Takes the answers from the options, and asks for the others.
    ///
    /// # Errors
    /// An answer is missing or cannot be used.
    pub(super) fn gather(args: &InitArgs, asker: &mut dyn Asker) -> anyhow::Result<Self> {
        let host = ask(
            asker,
            args.host.as_deref(),
            question(
                "--host",
                "Public host name of the application (such as cockpit.example.com)",
            ),
        )?;
        let upstream = ask(
            asker,
            args.to.as_deref(),
            Question {
                default: Some(COCKPIT),
                ..question(
                    "--to",
                    "Address of the application (Cockpit on this machine by default)",
                )
            },
        )?;
        let is_cockpit = args.cockpit || upstream == COCKPIT;
        let provider = ProviderAnswers::gather(args, asker)?;
        let allowed = gather_allowed(args, asker)?;
        let users = if is_cockpit {
            gather_users(args, &allowed, asker)?
        } else {
            None
        };
        let listener = ListenerAnswer::gather(args, asker)?;
        asker.finish()?;
        let answers = Self {
            host,
            upstream,
            is_cockpit,
            provider,
            allowed,
            users,
            listener,
        };
        answers.check(args)?;
        Ok(answers)
    }

    /// Refuses what would make a different file than its user means. Everything else is found by `jetway check`.
    fn check(&self, args: &InitArgs) -> anyhow::Result<()> {
        if self.host.contains(['/', ':', ' ']) {
            bail!(
                "`{}` is no host name; write it without `https://`, port and path",
                self.host
            );
        }
        if self.allowed.is_empty() {
            bail!(
                "name at least one address or domain that may enter, such as `alice@example.com`"
            );
        }
        if let ListenerAnswer::Plain(address) = &self.listener
            && !is_loopback(address)
        {
            bail!(
                "`{address}` is no loopback address with a port; other machines must not reach a listener without TLS, so write for example `127.0.0.1:8080`"
            );
        }
        if !self.is_cockpit && (args.single_sign_on || !args.unix_user.is_empty()) {
            bail!(
                "single sign-on works for Cockpit only; add `--cockpit` if the application at `{}` is Cockpit",
                self.upstream
            );
        }
        Ok(())
    }
}

impl ProviderAnswers {
    fn gather(args: &InitArgs, asker: &mut dyn Asker) -> anyhow::Result<Self> {
        let name = ask(
            asker,
            args.provider.as_deref(),
            Question {
                default: Some("oidc"),
                ..question(
                    "--provider",
                    "Identity provider: oidc, or a preset such as google, azure or keycloak",
                )
            },
        )?;
        let Some(needs_url) = needs_provider_url(&name) else {
            bail!("`{name}` is no known identity provider; write `oidc` for any OpenID provider");
        };
        let url = match args.provider_url.as_deref() {
            None if !needs_url => None,
            given => Some(ask(
                asker,
                given,
                question("--provider-url", "Issuer URL of the identity provider"),
            )?),
        };
        let client_id = ask(
            asker,
            args.client_id.as_deref(),
            question("--client-id", "Client id"),
        )?;
        let client_secret = match &args.client_secret_file {
            Some(path) => read_secret(path)?,
            None => asker.ask_secret(question("--client-secret-file", "Client secret"))?,
        };
        Ok(Self {
            name,
            url,
            client_id,
            client_secret: Secret::new(client_secret.into_bytes()),
        })
    }
}

impl ListenerAnswer {
    fn gather(args: &InitArgs, asker: &mut dyn Asker) -> anyhow::Result<Self> {
        if let Some(address) = &args.plain_http {
            return Ok(Self::Plain(address.clone()));
        }
        if let (Some(chain), Some(key)) = (&args.certificate, &args.certificate_key) {
            return Ok(Self::Tls(absolute(chain)?, absolute(key)?));
        }
        let chain = asker.ask(Question {
            option: "--certificate with --certificate-key, or --plain-http",
            text: "File with the certificate chain in PEM, or - when a proxy in front terminates TLS",
            default: None,
        })?;
        if chain == "-" {
            return Ok(Self::Plain(BEHIND_TLS.to_owned()));
        }
        if chain.is_empty() {
            return Ok(Self::Plain(chain));
        }
        let key = asker.ask(question(
            "--certificate-key",
            "File with its private key in PEM",
        ))?;
        Ok(Self::Tls(
            absolute(Path::new(&chain))?,
            absolute(Path::new(&key))?,
        ))
    }
}

impl Allowed {
    fn read(text: &str) -> anyhow::Result<Self> {
        match text.rsplit_once('@') {
            Some(("", domain)) if domain.contains('.') => Ok(Self::Domain(domain.to_owned())),
            Some((local, domain)) if !local.is_empty() && !domain.is_empty() => {
                Ok(Self::Email(text.to_owned()))
            }
            _ => bail!(
                "`{text}` is no email address and no domain; write `alice@example.com` or `@example.com`"
            ),
        }
    }
}

fn gather_allowed(args: &InitArgs, asker: &mut dyn Asker) -> anyhow::Result<Vec<Allowed>> {
    if !args.allow.is_empty() {
        return args.allow.iter().map(|text| Allowed::read(text)).collect();
    }
    let answer = asker.ask(question(
        "--allow",
        "Addresses and domains that may enter (alice@example.com @example.com)",
    ))?;
    let words = answer.split([' ', ',']).filter(|word| !word.is_empty());
    words.map(Allowed::read).collect()
}

fn gather_users(
    args: &InitArgs,
    allowed: &[Allowed],
    asker: &mut dyn Asker,
) -> anyhow::Result<Option<UnixUsers>> {
    let is_given = args.single_sign_on || !args.unix_user.is_empty();
    if !is_given {
        let answer = asker.ask(Question {
            option: "--single-sign-on",
            text: "Sign users in to Cockpit as their Unix users, without a password (y/n)",
            default: Some("n"),
        })?;
        if !answer.eq_ignore_ascii_case("y") && !answer.eq_ignore_ascii_case("yes") {
            return Ok(None);
        }
    }
    let mut users = UnixUsers::default();
    for pair in &args.unix_user {
        let Some((address, name)) = pair.split_once('=') else {
            bail!("`{pair}` names no Unix user; write `alice@example.com=alice`");
        };
        users.add(address, name)?;
    }
    for one in allowed {
        match one {
            Allowed::Domain(domain) => users.local_part_of.push(domain.clone()),
            Allowed::Email(address) if users.has(address) => {}
            Allowed::Email(address) => {
                let local = address.split('@').next().unwrap_or_default();
                let text = format!("Unix user of {address}");
                let name = asker.ask(Question {
                    option: "--unix-user",
                    text: &text,
                    default: Some(local),
                })?;
                users.add(address, &name)?;
            }
        }
    }
    Ok(Some(users))
}

impl UnixUsers {
    fn add(&mut self, address: &str, name: &str) -> anyhow::Result<()> {
        let Some(user) = UnixUser::new(name) else {
            bail!("`{name}` is no name of a Unix user; name one with `--unix-user {address}=NAME`");
        };
        if user.is_root() {
            bail!(
                "single sign-on as root is not written here: it needs `allow_root: true` in the file"
            );
        }
        self.by_address.push((address.to_owned(), name.to_owned()));
        Ok(())
    }

    fn has(&self, address: &str) -> bool {
        self.by_address.iter().any(|(known, _)| known == address)
    }
}

fn is_loopback(address: &str) -> bool {
    let address = address.parse::<std::net::SocketAddr>();
    address.is_ok_and(|address| address.ip().is_loopback())
}

const fn question<'a>(option: &'a str, text: &'a str) -> Question<'a> {
    Question {
        option,
        text,
        default: None,
    }
}

fn ask(
    asker: &mut dyn Asker,
    given: Option<&str>,
    question: Question<'_>,
) -> anyhow::Result<String> {
    given.map_or_else(|| asker.ask(question), |given| Ok(given.to_owned()))
}

/// Reads a secret without the line break at its end.
fn read_secret(path: &Path) -> anyhow::Result<String> {
    let read = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text =
        read.with_context(|| format!("cannot read the client secret from `{}`", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        bail!("the client secret in `{}` is empty", path.display());
    }
    Ok(secret.to_owned())
}

/// A relative path in the file would be relative to the folder in which Jetway is started.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot resolve `{}`", path.display()))
}
