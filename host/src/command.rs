//! One module per subcommand.

pub(crate) mod check;
pub(crate) mod cockpit;
pub(crate) mod doctor;
pub(crate) mod envoy_config;
pub(crate) mod explain;
pub(crate) mod filter;
pub(crate) mod keygen;
pub(crate) mod reference;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod test;

use std::io::Write as _;

/// A command did what it should, and its answer is no: the exit status is 1, and everything has been said.
#[derive(Debug, thiserror::Error)]
#[error("the answer is no")]
pub(crate) struct CheckFailed;

/// Writes to standard output.
///
/// # Errors
/// As of [`std::io::Write`]; a broken pipe is an error that [`crate::program`] forgives.
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()?;
    Ok(())
}

/// Writes to standard output beside a proxy that serves. Its reader may stand still or be gone: the proxy does not wait for
/// it and does not end with it.
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
