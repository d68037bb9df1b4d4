//! Cockpit's own configuration file, when Cockpit runs on this machine.

use std::path::{Path, PathBuf};

use crate::cockpit::{CockpitConf, Layout};
use crate::doctor::finding::Change;
use crate::doctor::upstream_probe::UpstreamProbe;
use jetway_config_file::file;

/// Most bytes of a `cockpit.conf`: a long one has some hundred lines.
const MAX_CONF: u64 = 64 * 1024;
/// The path of the file on other machines.
const USUAL: &str = "/etc/cockpit/cockpit.conf";

/// The file, if it can be read from this machine.
pub(super) struct LocalConf {
    path: PathBuf,
    here: bool,
    /// Whether Cockpit answers on this machine and is not installed on it, as with a container.
    container: bool,
    conf: Option<CockpitConf>,
}

impl LocalConf {
    /// Reads the file, if the upstream is on this machine.
    pub(super) fn of(probe: &UpstreamProbe<'_>) -> Self {
        let here = probe.endpoint.origin.is_loopback();
        let path = if here {
            probe.subject.cockpit_conf.to_owned()
        } else {
            USUAL.into()
        };
        let container = here && Layout::of(Path::new("/")).is_none();
        let conf = if !here {
            None
        } else if path.exists() {
            let bytes = file::read("file", &path, MAX_CONF).ok();
            bytes.map(|bytes| CockpitConf::parse(&String::from_utf8_lossy(&bytes)))
        } else if container {
            // Its file is in the container.
            None
        } else {
            // A missing file is the same as an empty one.
            Some(CockpitConf::default())
        };
        Self {
            path,
            here,
            container,
            conf,
        }
    }

    /// Returns a file of this machine with this content.
    #[cfg(test)]
    pub(super) fn parsed(text: &str) -> Self {
        Self {
            path: USUAL.into(),
            here: true,
            container: false,
            conf: Some(CockpitConf::parse(text)),
        }
    }

    /// Returns the file of a Cockpit that is not installed on this machine, with this content.
    #[cfg(test)]
    pub(super) fn in_container(text: &str) -> Self {
        Self {
            container: true,
            ..Self::parsed(text)
        }
    }

    /// Whether Cockpit runs on this machine.
    pub(super) const fn is_here(&self) -> bool {
        self.here
    }

    /// Whether Cockpit seems to run in a container on this machine.
    pub(super) const fn is_container(&self) -> bool {
        self.container
    }

    /// Returns the file, when it can be read.
    pub(super) const fn file(&self) -> Option<&CockpitConf> {
        self.conf.as_ref()
    }

    /// Creates a change in a section of the file: at the key, else at the section, else anywhere.
    pub(super) fn change_in(&self, section: &str, key: &str, what: &str) -> Change {
        let conf = self.conf.as_ref();
        let line = conf.and_then(|conf| {
            let key = conf.value(section, key).map(|written| written.line);
            key.or_else(|| conf.section(section))
        });
        let name = if self.here {
            self.path.display().to_string()
        } else {
            format!("{} on the machine of Cockpit", self.path.display())
        };
        Change::file(name, line, format!("in the section [{section}] {what}"))
    }
}
