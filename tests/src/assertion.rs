//! The assertion about a user that an upstream gets, verified as an upstream would: by an independent library.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{Scene, output_of};

/// The verifier's program.
const PROGRAM: &str = include_str!("../peers/assertion.mjs");

/// A verified assertion.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// The JOSE header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

/// The parties that an assertion has to name.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The expected `iss`.
    pub issuer: &'a str,
    /// The expected `aud`.
    pub audience: &'a str,
}

impl<'a> Parties<'a> {
    /// Returns the parties of an assertion whose issuer and audience are the route's host.
    #[must_use]
    pub const fn of_host(host: &'a str) -> Self {
        Self {
            issuer: host,
            audience: host,
        }
    }
}

impl Assertion {
    /// Verifies signature, parties and times with the keys that the proxy publishes.
    ///
    /// # Errors
    /// When the assertion is invalid, with the verifier's reason.
    pub fn verify(scene: &Scene, token: &str, keys: &Value, parties: Parties<'_>) -> Result<Self> {
        let folder = scene.folder().join("verifier");
        if !folder.exists() {
            std::fs::create_dir(&folder)?;
            std::fs::write(folder.join("assertion.mjs"), PROGRAM)?;
            // Node.js looks for packages beside the program.
            std::os::unix::fs::symlink(&scene.installed.node_modules, folder.join("node_modules"))?;
        }
        let order = json!({"token": token, "jwks": keys, "issuer": parties.issuer, "audience": parties.audience});
        let printed = output_of(
            Command::new(&scene.installed.node)
                .arg("assertion.mjs")
                .current_dir(&folder)
                .env("ORDER", order.to_string()),
        )
        .context("invalid assertion")?;
        let mut verified: Value = serde_json::from_slice(&printed)?;
        Ok(Self {
            header: verified["header"].take(),
            claims: verified["payload"].take(),
        })
    }
}
