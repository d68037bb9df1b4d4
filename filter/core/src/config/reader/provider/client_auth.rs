//! Reads how Jetway authenticates at the provider's token endpoint.

use crate::config::ClientAuth;
use crate::config::file_map::FileMap;
use crate::config::pem::pem_text;
use crate::diagnostics::Findings;
use crate::secret::Secret;
use crate::session::signing_key::AssertionKey;

/// The key for the method.
const METHOD: &str = "idp_token_endpoint_auth_method";
/// The key for the private key.
const KEY: &str = "idp_client_private_key";

/// The registered names of the methods (OpenID Connect Core 1.0 section 9).
const METHODS: [(&str, Word); 4] = [
    ("client_secret_basic", Word::Basic),
    ("client_secret_post", Word::Post),
    ("private_key_jwt", Word::PrivateKey),
    ("none", Word::None),
];

#[derive(Clone, Copy)]
enum Word {
    Basic,
    Post,
    PrivateKey,
    None,
}

/// Reads the method. The default depends on which of a private key and a secret is set.
pub(super) fn read_client_auth(
    file: &FileMap<'_>,
    secret: &Secret,
    findings: &mut Findings,
) -> ClientAuth {
    let word = file.word(METHOD, &METHODS, "method", findings);
    let key = read_key(file, findings);
    match (word, key) {
        (Some(Word::PrivateKey) | None, Some(key)) => ClientAuth::PrivateKey(key),
        (Some(Word::PrivateKey), None) => {
            if !file.has(KEY) {
                findings
                    .problem(
                        &file.path_of(METHOD),
                        "`private_key_jwt` needs `idp_client_private_key`",
                    )
                    .help("add `idp_client_private_key_file`, and register the public key with the provider");
            }
            ClientAuth::None
        }
        (Some(Word::Basic), _) => needs_secret(file, secret, ClientAuth::Basic, findings),
        (Some(Word::Post), _) => needs_secret(file, secret, ClientAuth::Post, findings),
        (Some(Word::None), _) => ClientAuth::None,
        (None, None) if secret.is_empty() => ClientAuth::None,
        (None, None) => ClientAuth::AsOffered,
    }
}

fn needs_secret(
    file: &FileMap<'_>,
    secret: &Secret,
    method: ClientAuth,
    findings: &mut Findings,
) -> ClientAuth {
    if secret.is_empty() && !file.has("idp_client_secret") {
        findings
            .problem(
                &file.path_of(METHOD),
                "this method needs `idp_client_secret`",
            )
            .help("add the secret, or write `none` for a public client");
    }
    method
}

fn read_key(file: &FileMap<'_>, findings: &mut Findings) -> Option<AssertionKey> {
    let id = file.non_empty_string("idp_client_private_key_id", findings);
    let text = file.non_empty_string(KEY, findings)?;
    let read = pem_text(&text)
        .map(Secret::new)
        .ok_or_else(|| "it is not PEM".to_owned())
        .and_then(|pem| AssertionKey::from_pem(pem.expose()));
    match read {
        // A provider finds the public key by the registered key id, or tries every key.
        Ok(key) => Some(key.named(id)),
        Err(reason) => {
            findings
                .problem(&file.path_of(KEY), format!("`{KEY}` cannot sign: {reason}"))
                .help("write a private key in PEM: P-256, Ed25519 or RSA of at least 2048 bits");
            None
        }
    }
}
