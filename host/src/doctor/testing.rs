//! Configuration files for unit tests.

use std::path::Path;

use jetway_proxy::tls::{Roots, Trust};
use jetway_proxy::upstream::Connector;
use tempfile::TempDir;

use super::Subject;
use super::upstream_probe::UpstreamProbe;
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

/// Calls a function with the probe of one route to an upstream on port 1, which has these further keys.
pub(super) fn with_probe<T>(route: &str, call: impl FnOnce(&UpstreamProbe<'_>) -> T) -> T {
    let file = file(&format!(
        "insecure_server: true\nroutes:\n  - {{from: https://app.test, to: http://127.0.0.1:1, allow_public_unauthenticated_access: true, {route}}}\n"
    ));
    let inspection = file.inspect();
    let config = inspection.config().unwrap();
    let route = &config.routes[0];
    let endpoint = &route.target.upstreams().unwrap().endpoints[0];
    let subject = Subject {
        name: "jetway.yaml",
        inspection: &inspection,
        config,
        cockpit_conf: Path::new("cockpit.conf"),
        now: 0,
    };
    call(&UpstreamProbe {
        subject: &subject,
        about: String::new(),
        index: 0,
        route,
        endpoint,
        public: crate::cockpit::public_origin(config, route),
        proto: "https",
        connector: Connector::new(&endpoint.origin, &Trust::System, &Roots::default()).unwrap(),
    })
}
