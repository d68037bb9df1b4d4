//! The JSON web signature, key and crypto vectors of <https://github.com/C2SP/wycheproof>.
//!
//! They lie at `../shared/vectors/wycheproof` as seen from the repository, or where `JETWAY_WYCHEPROOF` says.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::is_signed_by;

/// Vectors that we refuse although they are called valid, and why.
const REFUSED: [(&str, &[u64], &str); 3] = [
    (
        "signature",
        &[346, 350],
        "the key is for PS256, the token says PS384",
    ),
    (
        "signature",
        &[347, 351],
        "P-521 is no curve of ours, and `ES521` no algorithm",
    ),
    ("crypto", &[50, 67], "encrypted tokens are not accepted"),
];

/// Vectors that we accept although they are called invalid, and why.
const ACCEPTED: [(&str, &[u64], &str); 2] = [
    (
        "key",
        &[7],
        "a modulus of the ROCA kind is the provider's mistake; nothing here looks for it",
    ),
    ("crypto", &[46], "the same"),
];

/// The files, each with how many of its vectors a key of ours has signed: so many must be accepted, or nothing was tried.
const FILES: [(&str, usize); 3] = [("signature", 32), ("key", 2), ("crypto", 3)];

pub(crate) fn trials() -> Vec<Trial> {
    let folder = folder();
    let here = folder.join("json_web_signature_test.json").is_file();
    if !here {
        eprintln!("wycheproof: NOT RUN, files absent: {}", folder.display());
    }
    let trial = |(file, signed)| {
        let folder = folder.clone();
        let name = format!("wycheproof::json_web_{file}");
        Trial::test(name, move || check(&folder, file, signed)).with_ignored_flag(!here)
    };
    FILES.into_iter().map(trial).collect()
}

fn folder() -> PathBuf {
    let beside =
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/wycheproof");
    std::env::var_os("JETWAY_WYCHEPROOF").map_or_else(beside, PathBuf::from)
}

fn check(folder: &Path, file: &str, due: usize) -> Result<(), Failed> {
    let text = std::fs::read(folder.join(format!("json_web_{file}_test.json")))?;
    let document: Value = serde_json::from_slice(&text)?;
    let (mut read, mut signed, mut wrong) = (0, 0, Vec::new());
    for group in list(&document["testGroups"]) {
        let keys = key_set(group);
        for test in list(&group["tests"]) {
            read += 1;
            let id = test["tcId"].as_u64().unwrap_or_default();
            let accepted = test["jws"]
                .as_str()
                .is_some_and(|token| is_signed_by(&keys, token));
            signed += usize::from(accepted);
            if accepted != expected(file, id, group, test) {
                wrong.push(format!(
                    "{id} ({}): {}",
                    test["comment"],
                    if accepted { "accepted" } else { "refused" }
                ));
            }
        }
    }
    if document["numberOfTests"] != json!(read) {
        wrong.push(format!(
            "{read} vectors were read, the file says {}",
            document["numberOfTests"]
        ));
    }
    if signed != due {
        wrong.push(format!("{signed} vectors were accepted instead of {due}"));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The group's key or keys as a provider would publish them. Secret keys stay in: a provider might publish those, too.
fn key_set(group: &Value) -> Vec<u8> {
    let keys = group.get("public").unwrap_or_else(|| &group["private"]);
    if keys.get("keys").is_some() {
        keys.to_string().into_bytes()
    } else {
        json!({ "keys": [keys] }).to_string().into_bytes()
    }
}

/// Returns the expected result of a vector: a shared secret verifies nothing, although the file may say so; the lists above
/// go first.
fn expected(file: &str, id: u64, group: &Value, test: &Value) -> bool {
    let listed = |list: &[(&str, &[u64], &str)]| {
        list.iter()
            .any(|(name, ids, _)| *name == file && ids.contains(&id))
    };
    let keys = group.get("public").unwrap_or_else(|| &group["private"]);
    let keys = keys
        .get("keys")
        .map_or_else(|| vec![keys.clone()], |keys| list(keys).to_vec());
    let asymmetric = keys.iter().any(|key| key["kty"] != "oct");
    if listed(&REFUSED) {
        false
    } else if listed(&ACCEPTED) {
        true
    } else {
        asymmetric && test["result"] == "valid"
    }
}
