//! Cockpit's own configuration file, when Cockpit runs on this machine.

use std::path::PathBuf;

use super::super::Subject;
use super::super::finding::Change;
use super::super::visit::Visit;
use crate::cockpit::CockpitConf;
use jetway_config_file::file;

/// Bytes of a `cockpit.conf`: a long one has some hundred lines.
const MAX_CONF: u64 = 64 * 1024;
/// Where the file is on other machines.
const USUAL: &str = "/etc/cockpit/cockpit.conf";

/// The file as far as it can be read from here.
pub(super) struct Local {
    path: PathBuf,
    here: bool,
    conf: Option<CockpitConf>,
}

impl Local {
    /// Reads it, if the upstream is on this machine.
    pub(super) fn of(visit: &Visit<'_>, subject: &Subject<'_>) -> Self {
        let here = visit.endpoint.origin.is_loopback();
        let path = if here {
            subject.cockpit_conf.to_owned()
        } else {
            USUAL.into()
        };
        let conf = if !here {
            None
        } else if path.exists() {
            let bytes = file::read("file", &path, MAX_CONF).ok();
            bytes.map(|bytes| CockpitConf::parse(&String::from_utf8_lossy(&bytes)))
        } else {
            // A file that is not there says nothing, which is known too.
            Some(CockpitConf::default())
        };
        Self { path, here, conf }
    }

    /// Whether Cockpit runs on this machine.
    pub(super) const fn is_here(&self) -> bool {
        self.here
    }

    /// The file, when it can be read.
    pub(super) const fn file(&self) -> Option<&CockpitConf> {
        self.conf.as_ref()
    }

    /// A change in a section of the file: at the key, else at the section, else anywhere.
    pub(super) fn conf(&self, section: &str, key: &str, what: &str) -> Change {
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
