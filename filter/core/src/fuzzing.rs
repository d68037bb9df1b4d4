//! The fuzz targets of this crate: functions of bytes that end without a panic, whatever the bytes.
//!
//! Tests run them with the seeds in `filter/fuzz/seeds` and with changes of them; with the feature `fuzzing` they are there
//! for cargo-fuzz, too. What needs a provider's signature or a flow is in `gate/tests/fuzz.rs`, for tests only.

mod configuration;
mod credentials;
mod provider;
mod requests;
#[cfg(test)]
mod tests;

/// A fuzz target: the name of its seeds' folder, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
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
/// When there is none, or when the target fails.
pub fn run(name: &str, bytes: &[u8]) {
    let known = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = known.unwrap_or_else(|| panic!("there is no fuzz target `{name}`"));
    target(bytes);
}
