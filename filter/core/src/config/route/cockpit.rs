//! Single sign-on into Cockpit (`cockpit` of a route): the Unix user for a user, and the administrators.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{HostHeader, PathMatch, PathRewrite, RequestHeaders, Target};
use crate::config::file_map::FileMap;
use crate::config::keys::COCKPIT;
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::email_address::{canonical_domain, normalize_email};
use crate::policy::Policy;
use crate::session::Session;
use crate::session::unix_user::UnixUser;

/// The request headers of a login to Cockpit. On these routes only the proxy sets them.
pub(crate) const LOGIN_HEADERS: [&str; 2] = ["authorization", "x-superuser"];

/// The settings of a route to Cockpit, which logs users in as Unix users (`cockpit`).
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CockpitSettings {
    /// Unix users by verified address, whose domain is in lower case, or by user id (`users`).
    pub users: BTreeMap<String, UnixUser>,
    /// The claim that names the Unix user (`user_claim`).
    pub user_claim: Option<String>,
    /// The local part of a verified address in one of these domains, in lower case, is the Unix user (`local_part_of`).
    pub local_part_of: Vec<String>,
    /// The users who get administrative access at login (`administrators`); none when the policy is empty.
    pub administrators: Policy,
    /// Whether `users` may map to root (`allow_root`).
    pub allow_root: bool,
    /// Whether users may log in to other hosts through this one (`allow_other_hosts`).
    pub allow_other_hosts: bool,
    /// Cockpit's `UrlRoot` without its final slash, from the route's `prefix`; empty for the root.
    pub url_root: String,
}

/// How a user's Unix user was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// By the map `users`.
    Table,
    /// By the claim `user_claim`.
    Claim,
    /// By the local part of the email address.
    LocalPart,
}

impl FoundBy {
    /// Returns the key of the mapping.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Table => "users",
            Self::Claim => "user_claim",
            Self::LocalPart => "local_part_of",
        }
    }
}

impl CockpitSettings {
    /// Returns whether any user can get administrative access at login.
    #[must_use]
    pub const fn has_administrators(&self) -> bool {
        self.administrators.can_allow()
    }

    /// Returns the Unix user for a user. The first mapping that applies decides: the map, the claim, the local part. If its
    /// result is not a valid name, there is no Unix user.
    #[must_use]
    pub fn user_of(&self, session: &Session) -> Option<(UnixUser, FoundBy)> {
        let listed = session
            .email()
            .and_then(|email| self.users.get(email))
            // A user id that looks like an address is not looked up as one: only verified addresses are.
            .or_else(|| {
                let id = Some(&session.subject).filter(|id| !id.contains('@'));
                self.users.get(id?)
            });
        if let Some(user) = listed {
            return Some((user.clone(), FoundBy::Table));
        }
        if let Some(values) = self.user_claim.as_deref().map(|claim| session.claim(claim))
            && !values.is_empty()
        {
            let [value] = values else { return None };
            return Some((ordinary(value.as_str()?)?, FoundBy::Claim));
        }
        let (local, domain) = session.email()?.split_once('@')?;
        let fits = |known: &String| known.eq_ignore_ascii_case(domain);
        let user = self.local_part_of.iter().any(fits).then_some(local)?;
        Some((ordinary(user)?, FoundBy::LocalPart))
    }

    /// Returns whether a user's email address decides about the Unix user or about administrative access.
    pub(super) fn asks_for_email(&self) -> bool {
        !self.local_part_of.is_empty()
            || self.users.keys().any(|person| person.contains('@'))
            || self.administrators.asks_for_email()
    }

    /// Returns a digest of everything that decides about the Unix user and administrative access.
    pub(crate) fn to_value(&self) -> Value {
        let users = self
            .users
            .iter()
            .map(|(person, user)| json!([person, user.as_str()]));
        json!([
            users.collect::<Vec<_>>(),
            self.user_claim,
            self.local_part_of,
            self.administrators.to_value(),
            self.allow_other_hosts,
        ])
    }

    /// Reads `cockpit`. Returns `None` when the route does not have it or it is not a map.
    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        let own = map.map_below("cockpit", COCKPIT, findings)?;
        let allow_root = own.flag("allow_root", findings);
        let settings = Self {
            users: read_users(&own, allow_root, findings),
            user_claim: own.non_empty_string("user_claim", findings),
            local_part_of: read_domains(&own, findings),
            administrators: own
                .value("administrators")
                .map_or_else(Policy::default, |policy| {
                    Policy::read(policy, &own.path_of("administrators"), findings)
                }),
            allow_root,
            allow_other_hosts: own.flag("allow_other_hosts", findings),
            url_root: String::new(),
        };
        if !["users", "user_claim", "local_part_of"]
            .into_iter()
            .any(|key| own.has(key))
        {
            findings
                .problem(own.key_path(), "no user has a Unix user on this route")
                .help("write `users: {alice@example.com: alice}`, `user_claim` or `local_part_of`");
        }
        Some(settings)
    }

    /// Takes the path of Cockpit from the route's.
    pub(super) fn set_url_root(
        &mut self,
        path: &PathMatch,
        map: &FileMap<'_>,
        findings: &mut Findings,
    ) {
        match path {
            PathMatch::Any => {}
            PathMatch::Prefix(prefix) => {
                prefix
                    .trim_end_matches('/')
                    .clone_into(&mut self.url_root);
            }
            PathMatch::Exact(_) | PathMatch::Regex(_) => findings
                .problem(map.key_path(), "a `cockpit` route must serve all paths, or all paths below a `prefix`")
                .help("remove `path` and `regex`; with `UrlRoot = /admin` in cockpit.conf, write `prefix: /admin/`"),
        }
    }
}

/// The parts of a route that Cockpit restricts.
pub(super) struct CockpitRoute<'r> {
    pub(super) target: &'r Target,
    pub(super) rewrite: Option<&'r PathRewrite>,
    pub(super) headers: &'r RequestHeaders,
}

impl CockpitRoute<'_> {
    /// Reports what Cockpit does not work with.
    pub(super) fn check(&self, map: &FileMap<'_>, findings: &mut Findings) {
        if !matches!(self.target, Target::Upstreams(_)) {
            findings
                .problem(
                    &map.path_of("cockpit"),
                    "a `cockpit` route needs an upstream",
                )
                .help("write `to: http://localhost:9090`, or remove `cockpit`");
        }
        if self.rewrite.is_some() {
            findings
                .problem(map.key_path(), "a `cockpit` route cannot rewrite paths")
                .help("remove the rewriting and any path in `to`; set `UrlRoot = /admin` in cockpit.conf, and write `prefix: /admin/`");
        }
        for (name, _) in &self.headers.set {
            if LOGIN_HEADERS.contains(&name.as_str()) {
                findings
                    .problem(
                        &map.path_of("set_request_headers").key(name),
                        format!("on a `cockpit` route only the proxy sets {}", quoted(name)),
                    )
                    .help("remove it");
            }
        }
        if map.value("allow_websockets").is_some()
            && !map.flag("allow_websockets", &mut Findings::default())
        {
            findings
                .problem(&map.path_of("allow_websockets"), "Cockpit needs WebSockets")
                .help("remove it: a `cockpit` route allows them");
        }
    }
}

/// Preserves the public host by default: Cockpit compares the browser's origin with the host that it gets.
pub(super) fn preserve_host(
    host: HostHeader,
    map: &FileMap<'_>,
    findings: &mut Findings,
) -> HostHeader {
    let HostHeader::Upstream = host else {
        return host;
    };
    if !map.has("preserve_host_header") {
        return HostHeader::Preserve;
    }
    findings
        .warning(
            &map.path_of("preserve_host_header"),
            "Cockpit gets another host than the browser's, and refuses its WebSockets",
        )
        .help("remove it, or add the output of `jetway cockpit conf` to cockpit.conf");
    host
}

/// Returns the name unless it is root: data from a provider never maps to root.
fn ordinary(name: &str) -> Option<UnixUser> {
    UnixUser::new(name).filter(|user| !user.is_root())
}

fn read_users(
    own: &FileMap<'_>,
    allow_root: bool,
    findings: &mut Findings,
) -> BTreeMap<String, UnixUser> {
    let key_path = own.path_of("users");
    let mut users = BTreeMap::new();
    for (person, name) in own.string_map("users", findings).unwrap_or_default() {
        let here = key_path.key(&person);
        let Some(user) = read_user(&name, allow_root, &here, findings) else {
            continue;
        };
        // A user id is compared as the provider writes it.
        let known = if person.contains('@') {
            normalize_email(person.clone())
        } else {
            person.clone()
        };
        if users.insert(known, user).is_some() {
            findings
                .problem(
                    &here,
                    format!(
                        "duplicate key {} (keys are case-insensitive)",
                        quoted(&person)
                    ),
                )
                .help("keep one of them");
        }
    }
    users
}

fn read_user(
    name: &str,
    allow_root: bool,
    key_path: &KeyPath,
    findings: &mut Findings,
) -> Option<UnixUser> {
    let Some(user) = UnixUser::new(name) else {
        findings
            .problem(key_path, format!("{} is not a valid Unix user name", quoted(name)))
            .help("write a name such as `alice`: a letter or `_`, then letters, digits, `_`, `-` and `.`");
        return None;
    };
    if user.is_root() && !allow_root {
        findings
            .problem(key_path, "mapping a user to root requires `allow_root: true`")
            .help("write another user and let `administrators` grant administrative access, or add `allow_root: true`");
        return None;
    }
    Some(user)
}

fn read_domains(own: &FileMap<'_>, findings: &mut Findings) -> Vec<String> {
    let key_path = own.path_of("local_part_of");
    let listed = own.strings("local_part_of", findings).unwrap_or_default();
    let mut domains = Vec::with_capacity(listed.len());
    for (index, domain) in listed.iter().enumerate() {
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let canonical = canonical_domain(domain).filter(|domain| domain.bytes().all(fit));
        if canonical.is_none() {
            findings
                .problem(&key_path.item(index), format!("{} is not a domain", quoted(domain)))
                .help("write for example `[example.com]`, which makes alice@example.com the user `alice`");
        }
        domains.extend(canonical);
    }
    domains
}
