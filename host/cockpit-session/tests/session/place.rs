//! The fixture of every test: a key, a configuration, and the bridge's replacement in a folder that every account can
//! read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jetway_tests::{CockpitSession, SessionKey};
use tempfile::TempDir;

/// The bridge's replacement.
const BRIDGE: &str = include_str!("bridge.py");

/// A fixture without an account.
pub(crate) struct Place {
    pub(crate) session: CockpitSession,
    pub(crate) key: SessionKey,
    files: TempDir,
}

impl Place {
    /// Creates a fixture with the default configuration, except for the bridge.
    pub(crate) fn new() -> Result<Self> {
        Self::with("")
    }

    /// Creates a fixture with further lines of the configuration.
    pub(crate) fn with(lines: &str) -> Result<Self> {
        let files = tempfile::Builder::new()
            .prefix("jetway-bridge-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()?;
        let bridge = files.path().join("bridge.py");
        std::fs::write(&bridge, BRIDGE)?;
        std::fs::set_permissions(&bridge, std::fs::Permissions::from_mode(0o755))?;
        let key = SessionKey::draw()?;
        let program = Path::new(env!("CARGO_BIN_EXE_jetway-cockpit-session"));
        let lines = if lines.contains("bridge =") {
            lines.to_owned()
        } else {
            format!("bridge = {}\n{lines}", bridge.display())
        };
        let session = CockpitSession::prepare(program, &key.public_pem()?, &lines, files.path())?;
        Ok(Self {
            session,
            key,
            files,
        })
    }

    /// Returns the path of a file of the test.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }
}
