//! Published examples and attacks on signatures, against the code that verifies ID tokens.
//!
//! Wycheproof's vectors are read where they lie and are no part of this repository. Without them their tests count as
//! ignored, so that no summary says that they passed; that is why this file brings its own `main`.

mod rfc;
mod wycheproof;

use jetway_core::oidc::compact::Compact;
use jetway_core::oidc::keys::{KeyMismatch, KeySet};
use jwt_simple::prelude::{UnixTimeStamp, VerificationOptions};
use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = rfc::trials();
    trials.extend(wycheproof::trials());
    libtest_mimic::run(&arguments, trials).exit();
}

/// Whether a key of the set signed this token, by the steps that an ID token's verification takes, up to its claims.
fn is_signed_by(keys: &[u8], token: &str) -> bool {
    let Ok(keys) = KeySet::read(keys) else {
        return false;
    };
    let Ok(parts) = Compact::read(token) else {
        return false;
    };
    let verdict = |key: &jetway_core::oidc::keys::ProviderKey| {
        // Before the examples' ends.
        let options = VerificationOptions {
            artificial_time: Some(UnixTimeStamp::from_secs(1_300_000_000)),
            ..VerificationOptions::default()
        };
        key.verify(token, options)
    };
    keys.candidates(&parts.algorithm, parts.key_id.as_deref())
        .any(|key| matches!(verdict(key), Ok(()) | Err(KeyMismatch::Contents)))
}
