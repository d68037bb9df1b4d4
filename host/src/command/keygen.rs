//! `jetway keygen`: generates the secrets of a configuration.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

/// The secret that a configuration needs, and the one that Pomerium needs as well.
const NAMES: [&str; 2] = ["cookie_secret", "shared_secret"];
/// Bytes of a secret: the size of every sealing key.
const SECRET_BYTES: usize = 32;
/// The mode that lets only the owner read and write.
const PRIVATE: u32 = 0o600;

/// Generate the secrets that a configuration needs.
///
/// Prints lines for the configuration file, or with --env lines for an environment file of systemd or a container.
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
    } else {
        make_secrets(args.env, &mut |bytes| Ok(getrandom::fill(bytes)?))?
    };
    match &args.out {
        Some(path) => write_private(path, &text),
        None => super::print(text.as_bytes()),
    }
}

/// Generates a key for ES256 (RFC 7518 section 3.4), in the format of `signing_key`.
fn make_signing_key() -> anyhow::Result<String> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
    Ok(key.context("cannot generate a key")?.serialize_pem())
}

fn make_secrets(
    env: bool,
    random: &mut dyn FnMut(&mut [u8]) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    for name in NAMES {
        let mut secret = [0; SECRET_BYTES];
        random(&mut secret)?;
        let value = STANDARD.encode(secret);
        if env {
            writeln!(text, "{}={value}", name.to_ascii_uppercase())?;
        } else {
            writeln!(text, "{name}: {value}")?;
        }
    }
    Ok(text)
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    // Only a new file: secrets in use must not be overwritten, and an existing file would keep its permissions.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path)
        .with_context(|| format!("cannot create `{}`", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

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
    fn a_file_is_private_and_never_overwritten() {
        let path = std::env::temp_dir().join(format!("jetway-keygen-{}", std::process::id()));
        write_private(&path, "a").unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let again = write_private(&path, "b");
        let content = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mode & 0o777, 0o600);
        assert!(again.is_err());
        assert_eq!(content, "a");
    }

    #[test]
    fn no_randomness_means_no_secret() {
        assert!(make_secrets(false, &mut |_| anyhow::bail!("none")).is_err());
    }
}
