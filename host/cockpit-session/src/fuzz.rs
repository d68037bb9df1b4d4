//! The fuzz targets of this program: input from Cockpit's web service, from clients and from operators.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::json;

use crate::arguments::Arguments;
use crate::assertion::{ALGORITHM, Assertion, TYPE};
use crate::authorize::ask_for_token;
use crate::frame::{MAX_PAYLOAD, read_control};
use crate::public_keys::PublicKeys;
use crate::settings::Settings;

/// A time within the lifetime of the seeds' assertions, in Unix seconds.
const NOW: u64 = 1_800_000_000;

#[test]
fn cockpit_frame() {
    jetway_fuzz_driver::run("cockpit_frame", |bytes| {
        let mut input = bytes;
        if let Ok(message) = read_control(&mut input) {
            assert!(message.len() < MAX_PAYLOAD);
            let taken = bytes.len() - input.len();
            assert!(
                read_control(&mut &bytes[..taken]).is_ok(),
                "only the frame is read"
            );
        }
        let _ = ask_for_token(&mut &*bytes, &mut io::sink(), "session7");
        let framed = [format!("{}\n\n", bytes.len() + 1).as_bytes(), bytes].concat();
        let _ = ask_for_token(&mut &*framed, &mut io::sink(), "session7");
    });
}

/// Uses the bytes as a token, and as the claims of a signed token.
#[test]
fn cockpit_assertion() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let pem = key
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap();
    let keys = PublicKeys::parse(&pem).unwrap();
    let hosts = ["cockpit.test".to_owned()];
    let header = BASE64_URL_SAFE_NO_PAD.encode(json!({"alg": ALGORITHM, "typ": TYPE}).to_string());
    jetway_fuzz_driver::run("cockpit_assertion", |bytes| {
        let token = String::from_utf8_lossy(bytes);
        assert!(
            Assertion::verify(&token, &keys, &hosts, NOW).is_err(),
            "it is signed by another key, or by none"
        );
        let message = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let signature: Signature = key.sign(message.as_bytes());
        let token = format!(
            "{message}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature.to_bytes())
        );
        if let Ok(assertion) = Assertion::verify(&token, &keys, &hosts, NOW) {
            assert!(!assertion.user.is_empty() && !assertion.id.is_empty());
        }
    });
}

#[test]
fn cockpit_keys() {
    jetway_fuzz_driver::run("cockpit_keys", |bytes| {
        if let Ok(keys) = PublicKeys::parse(&String::from_utf8_lossy(bytes)) {
            assert!(!keys.verify(Some("k1"), b"message", &[1; 64]));
        }
    });
}

#[test]
fn cockpit_settings_do_not_panic() {
    jetway_fuzz_driver::run("cockpit_settings", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = Settings::parse(Path::new("/etc/x"), &text);
        let _ = Arguments::parse(text.split(' ').map(OsString::from));
    });
}
