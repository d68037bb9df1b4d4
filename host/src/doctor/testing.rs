//! Configuration files for unit tests.

use tempfile::TempDir;

use jetway_config_file::Inspection;

/// A configuration file that is removed with the value.
pub(super) struct TestFile(TempDir);

/// Writes a file.
pub(super) fn file(text: &str) -> TestFile {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jetway.yaml"), text).unwrap();
    TestFile(folder)
}

impl TestFile {
    /// Reads the file.
    pub(super) fn inspect(&self) -> Inspection {
        jetway_config_file::inspect(&self.0.path().join("jetway.yaml"))
    }
}
