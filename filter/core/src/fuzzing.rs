//! The fuzz targets of this crate: functions that must not panic for any bytes.
//!
//! Tests run them with the seeds in `filter/fuzz/seeds` and with changes of these. The feature `fuzzing` exports them for
//! cargo-fuzz. Targets that need a signature of the provider or a flow are in `gate/tests/fuzz.rs`, for tests only.

mod configuration;
mod credentials;
mod provider;
mod requests;
#[cfg(test)]
mod tests;

/// A fuzz target: the name of the folder of its seeds, and its function.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[FuzzTarget] = &[
    ("config", configuration::config),
    ("config_words", configuration::config_words),
    ("policy", configuration::policy),
    ("policy_words", configuration::policy_words),
    ("template", configuration::template),
    ("json", provider::json),
    ("discovery", provider::discovery),
    ("jwks", provider::key_set),
    ("provider_answer", provider::answer),
    ("token", credentials::token),
    ("sealed", credentials::sealed),
    ("session", credentials::session),
    ("cookie", credentials::cookies),
    ("certificate_header", credentials::certificate_header),
    ("certificate", credentials::certificate),
    ("path", requests::path),
    ("authority", requests::authority),
    ("request", requests::request),
];

/// Runs the target with this name.
///
/// # Panics
/// There is no such target, or it fails.
pub fn run(name: &str, bytes: &[u8]) {
    let known = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = known.unwrap_or_else(|| panic!("there is no fuzz target `{name}`"));
    target(bytes);
}
