//! `jetway keygen`: generates the secrets of a configuration.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use crate::new_file::{Access, create_new};

/// The secret that a configuration needs, and the one that Pomerium needs as well.
const NAMES: [&str; 2] = ["cookie_secret", "shared_secret"];
/// Bytes of a secret: the size of every sealing key.
const SECRET_BYTES: usize = 32;

/// Generate the secrets that a configuration needs.
///
/// Prints lines for the configuration file, or with --env lines for an environment file of systemd or a container. With
/// --out alone, the file gets one secret and nothing else, as `cookie_secret_file` reads it.
#[derive(Args, Debug)]
pub(crate) struct KeygenArgs {
    /// Print environment variables (`COOKIE_SECRET=…`) instead of YAML.
    #[arg(long)]
    env: bool,
    /// Generate a private key for assertions instead, for `signing_key_file`: a P-256 key in PEM.
    #[arg(long, conflicts_with = "env")]
    signing_key: bool,
    /// Write to this new file, readable by its owner only, instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Generates and writes the secrets.
///
/// # Errors
/// No randomness, or a file that exists or cannot be written.
pub(crate) fn run(args: &KeygenArgs) -> anyhow::Result<()> {
    let text = if args.signing_key {
        make_signing_key()?
    } else if args.out.is_some() && !args.env {
        make_secret()?
    } else {
        make_secrets(args.env, &mut fill)?
    };
    match &args.out {
        Some(path) => create_new(path, Access::Owner, text.as_bytes()),
        None => super::print(text.as_bytes()),
    }
}

/// Generates a key for ES256 (RFC 7518 section 3.4), in the format of `signing_key`.
fn make_signing_key() -> anyhow::Result<String> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
    Ok(key.context("cannot generate a key")?.serialize_pem())
}

/// Generates a secret for `cookie_secret_file`, on a line of its own.
///
/// # Errors
/// No randomness.
pub(super) fn make_secret() -> anyhow::Result<String> {
    make_bare_secret(&mut fill)
}

fn make_bare_secret(random: &mut Random<'_>) -> anyhow::Result<String> {
    Ok(format!("{}\n", make_encoded_secret(random)?))
}

fn make_encoded_secret(random: &mut Random<'_>) -> anyhow::Result<String> {
    let mut secret = [0; SECRET_BYTES];
    random(&mut secret)?;
    Ok(STANDARD.encode(secret))
}

/// Fills a slice with random bytes.
type Random<'a> = dyn FnMut(&mut [u8]) -> anyhow::Result<()> + 'a;

fn fill(bytes: &mut [u8]) -> anyhow::Result<()> {
    Ok(getrandom::fill(bytes)?)
}

fn make_secrets(env: bool, random: &mut Random<'_>) -> anyhow::Result<String> {
    let mut text = String::new();
    for name in NAMES {
        let value = make_encoded_secret(random)?;
        if env {
            writeln!(text, "{}={value}", name.to_ascii_uppercase())?;
        } else {
            writeln!(text, "{name}: {value}")?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) -> anyhow::Result<()> {
        let mut next = 0;
        move |bytes| {
            next += 1;
            bytes.fill(next);
            Ok(())
        }
    }

    #[test]
    fn yaml_lines() {
        let text = make_secrets(false, &mut counting()).unwrap();
        let expected = "cookie_secret: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\
                        shared_secret: AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_signing_key_can_sign_assertions() {
        let pem = make_signing_key().unwrap();
        let key =
            jetway_core::session::signing_key::AssertionKey::from_pem(pem.as_bytes()).unwrap();
        let other = make_signing_key().unwrap();
        let other =
            jetway_core::session::signing_key::AssertionKey::from_pem(other.as_bytes()).unwrap();
        assert_ne!(key.id(), other.id());
    }

    #[test]
    fn environment_lines() {
        let text = make_secrets(true, &mut counting()).unwrap();
        assert!(text.starts_with("COOKIE_SECRET=AQEB"), "{text}");
        assert!(text.contains("\nSHARED_SECRET=AgIC"), "{text}");
    }

    #[test]
    fn a_file_holds_one_secret_alone() {
        let first = make_bare_secret(&mut counting()).unwrap();
        assert_eq!(first, "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n");
    }

    #[test]
    fn no_randomness_means_no_secret() {
        assert!(make_secrets(false, &mut |_| anyhow::bail!("none")).is_err());
    }
}
