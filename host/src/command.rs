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
pub(crate) struct AnsweredNo;

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
