//! One module per subcommand.

pub(crate) mod check;
pub(crate) mod cockpit;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod envoy_config;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod keygen;
pub(crate) mod manual;
pub(crate) mod module;
pub(crate) mod reference;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod test;

use std::io::Write as _;

/// The command ran, and its result is negative: the exit status is 1, and the report has been printed.
#[derive(Debug, thiserror::Error)]
#[error("check failed")]
pub(crate) struct CheckFailed;

/// Writes to standard output.
///
/// # Errors
/// As [`std::io::Write`]; [`crate::program`] ignores a broken pipe.
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()?;
    Ok(())
}

/// Writes to standard output from a thread of its own, so that the proxy neither waits for a reader that is slow nor ends
/// with one that is gone.
pub fn announce(text: String) {
    let write = move || {
        if let Err(error) = print(text.as_bytes()) {
            tracing::warn!("cannot write to standard output: {error:#}");
        }
    };
    let thread = std::thread::Builder::new().name("announcement".to_owned());
    if let Err(error) = thread.spawn(write) {
        tracing::warn!(%error, "cannot start a thread that writes to standard output");
    }
}
