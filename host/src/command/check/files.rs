//! The files that a configuration names: are they there, and can they be used?

use std::collections::HashSet;
use std::path::Path;

use jetway_core::config::Problem;
use jetway_core::config::key::{Kind, Treatment};
use jetway_core::config::keys::visit;
use serde_json::Value;

use crate::config::{Inspection, value_at};
use crate::tls::Certificates;
use crate::{file, limits};

/// Adds what is wrong with the files.
pub(super) fn check(inspection: &mut Inspection) {
    let mut problems = unreadable(inspection.file());
    if problems.is_empty()
        && let Some(config) = inspection.config()
    {
        let usable = Certificates::read(&config.listener)
            .and_then(|certificates| certificates.server_config());
        if let Err(error) = usable {
            let path = certificate_key(inspection.file());
            problems.push(Problem::new(path, format!("{error:#}")));
        }
    }
    inspection.add(problems, Vec::new());
}

/// A problem for each file that cannot be read, once.
fn unreadable(file: &Value) -> Vec<Problem> {
    let mut names = HashSet::new();
    let mut problems = Vec::new();
    visit(file, &mut |written| {
        let Some(key) = written.key else { return };
        let honoured = matches!(
            key.treatment,
            Treatment::Honoured(_) | Treatment::Translated(..)
        );
        if !honoured || !matches!(key.kind, Kind::File) || problems.len() >= MAX_PROBLEMS {
            return;
        }
        let name = value_at(file, written.path).and_then(Value::as_str);
        let Some(name) = name.filter(|name| !name.is_empty() && names.insert(*name)) else {
            return;
        };
        if let Err(error) = file::read_whole("file", Path::new(name), limits::PEM_FILE) {
            problems.push(Problem::new(written.path, error.to_string()));
        }
    });
    problems
}

/// Unreadable files that are told of: more say nothing new.
const MAX_PROBLEMS: usize = 50;

/// The key that the listener's certificates come from, as it is written.
fn certificate_key(file: &Value) -> String {
    let known = ["certificate_file", "certificate", "certificates"];
    let keys = file.as_object().into_iter().flat_map(|keys| keys.keys());
    let mut written = keys.filter(|key| known.iter().any(|known| key.eq_ignore_ascii_case(known)));
    written.next().cloned().unwrap_or_default()
}
