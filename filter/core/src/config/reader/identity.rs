//! Reads how upstreams learn the user's identity.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::file_map::FileMap;
use crate::config::header_name::{Wish, read_name};
use crate::config::pem::pem_text;
use crate::config::{IdentitySettings, IssuerFormat, Route};
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::http::template::Reference;
use crate::secret::Secret;
use crate::session::signing_key::AssertionKey;

/// The most claims that become headers: more of them do not fit into a request.
const MAX_CLAIM_HEADERS: usize = 64;
/// The most headers that the file reserves: each is compared with each header of each request.
const MAX_RESERVED_HEADERS: usize = 64;
/// The prefix of a claim's header whose name the file does not give.
const CLAIM_HEADER_PREFIX: &str = "x-pomerium-claim-";

/// The only algorithm that `jetway-cockpit-session` verifies.
const LOGIN_ALGORITHM: &str = "ES256";

const SIGNING_KEY_HELP: &str = "write what `openssl ecparam -name prime256v1 -genkey -noout` prints, or an Ed25519 or RSA key in PEM or PEM in base64";

const ISSUER_FORMATS: [(&str, IssuerFormat); 2] = [
    ("IssuerHostOnly", IssuerFormat::HostOnly),
    ("IssuerURI", IssuerFormat::Uri),
];

impl IssuerFormat {
    /// Reads `jwt_issuer_format`, a top-level key and a key of a route.
    pub(in crate::config) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        map.word("jwt_issuer_format", &ISSUER_FORMATS, "issuer", findings)
    }
}

pub(super) fn read_identity(
    file: &FileMap<'_>,
    routes: &[Route],
    secret: Option<&Secret>,
    findings: &mut Findings,
) -> IdentitySettings {
    IdentitySettings {
        signing_key: read_signing_key(file, routes, secret, findings),
        signing_key_text: file
            .non_empty_string("signing_key", &mut Findings::default())
            .map(|text| Secret::new(text.into_bytes())),
        claim_headers: read_claim_headers(file, findings),
        reserved_headers: read_reserved_headers(file, findings),
        groups_claim: file
            .non_empty_string("idp_groups_claim", findings)
            .unwrap_or_else(|| "groups".to_owned()),
        // An unknown value has been reported with the keys that all routes share.
        issuer_format: IssuerFormat::read(file, &mut Findings::default()).unwrap_or_default(),
    }
}

fn read_signing_key(
    file: &FileMap<'_>,
    routes: &[Route],
    secret: Option<&Secret>,
    findings: &mut Findings,
) -> Option<AssertionKey> {
    let key_path = file.path_of("signing_key");
    let Some(text) = file.non_empty_string("signing_key", findings) else {
        let derived = secret.map(AssertionKey::derived);
        if derived.is_none() && routes.iter().any(signs) && !file.has("cookie_secret") {
            findings
                .problem(
                    &key_path,
                    "`signing_key` is missing, and a route sends the user's identity to its upstream",
                )
                .help("add `cookie_secret`, from which a key is derived: `jetway keygen` prints one");
        }
        return derived;
    };
    let Some(pem) = pem_text(&text).map(Secret::new) else {
        findings
            .problem(&key_path, "`signing_key` is not a private key in PEM")
            .help(SIGNING_KEY_HELP);
        return None;
    };
    match AssertionKey::from_pem(pem.expose()) {
        Ok(key) => {
            if key.algorithm() != LOGIN_ALGORITHM
                && routes.iter().any(|route| route.cockpit.is_some())
            {
                findings
                    .problem(
                        &key_path,
                        format!("`signing_key` signs with {}, but logins to Cockpit need {LOGIN_ALGORITHM}", key.algorithm()),
                    )
                    .help(format!("{SIGNING_KEY_HELP}, or remove it: a key is derived from `cookie_secret`"));
            }
            Some(key)
        }
        Err(reason) => {
            // The reason has the problem and its help.
            let (wrong, help) = reason
                .split_once("; ")
                .unwrap_or((&reason, SIGNING_KEY_HELP));
            findings
                .problem(&key_path, format!("`signing_key` cannot sign: {wrong}"))
                .help(help);
            None
        }
    }
}

/// Returns whether a route sends an assertion.
fn signs(route: &Route) -> bool {
    route.pass_identity_headers
        || route.cockpit.is_some()
        || route
            .request_headers
            .set
            .iter()
            .any(|(_, template)| template.references().any(|part| *part == Reference::Jwt))
}

/// Reads `reserved_request_headers`.
fn read_reserved_headers(file: &FileMap<'_>, findings: &mut Findings) -> Vec<String> {
    const KEY: &str = "reserved_request_headers";
    let key_path = file.path_of(KEY);
    let names = file.strings(KEY, findings).unwrap_or_default();
    if names.len() > MAX_RESERVED_HEADERS {
        findings
            .problem(
                &key_path,
                format!("more than {MAX_RESERVED_HEADERS} headers"),
            )
            .help("use `*` at the end of a name for many headers");
        return Vec::new();
    }
    let names = names.iter().enumerate();
    names
        .filter_map(|(index, name)| {
            read_name(name, Wish::ReserveRequest, &key_path.item(index), findings)
        })
        .collect()
}

/// Reads `jwt_claims_headers`: a map from headers to claims, or a list of claims whose headers have the default names.
fn read_claim_headers(file: &FileMap<'_>, findings: &mut Findings) -> Vec<(String, String)> {
    const KEY: &str = "jwt_claims_headers";
    let key_path = file.path_of(KEY);
    let is_map = match file.value(KEY) {
        None => return Vec::new(),
        Some(Value::Object(_)) => true,
        Some(Value::String(text)) => text.trim_start().starts_with('{'),
        Some(_) => false,
    };
    let named: Vec<(KeyPath, String, String)> = if is_map {
        file.string_map(KEY, findings)
            .unwrap_or_default()
            .into_iter()
            .map(|(header, claim)| (key_path.key(&header), header, claim))
            .collect()
    } else {
        file.strings(KEY, findings)
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(index, claim)| {
                let header = format!("{CLAIM_HEADER_PREFIX}{}", claim.replace('_', "-"));
                (key_path.item(index), header, claim)
            })
            .collect()
    };
    if named.len() > MAX_CLAIM_HEADERS {
        findings
            .problem(&key_path, format!("more than {MAX_CLAIM_HEADERS} headers"))
            .help("let upstreams read the claims from the assertion");
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    named
        .into_iter()
        .filter_map(|(key_path, header, claim)| {
            let name = read_name(&header, Wish::CarryClaim, &key_path, findings)?;
            let problem = if claim.is_empty() {
                Some(format!("{} carries no claim", quoted(&header)))
            } else if names.insert(name.clone()) {
                None
            } else {
                Some(format!("two claims for the header {}", quoted(&header)))
            };
            match problem {
                None => Some((name, claim)),
                Some(problem) => {
                    findings
                        .problem(&key_path, problem)
                        .help("write one claim for each header, such as `{X-Email: email}`");
                    None
                }
            }
        })
        .collect()
}
