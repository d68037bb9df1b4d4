//! One module per subcommand.

pub(crate) mod check;
pub(crate) mod cockpit_conf;
pub(crate) mod demo;
pub(crate) mod envoy_config;
pub(crate) mod filter;
pub(crate) mod keygen;
pub(crate) mod run;

use std::io::Write as _;

/// Writes to standard output, with a broken pipe as an error that `main` forgives.
fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()?;
    Ok(())
}
