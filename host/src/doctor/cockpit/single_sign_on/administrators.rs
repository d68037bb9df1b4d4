//! Checks that the administrators of a route become root in the Cockpit of this machine.

use std::io::ErrorKind;
use std::path::Path;

use jetway_core::config::{CockpitSettings, Route};

use super::machine::set_up;
use crate::cockpit::{Elevation, POLKIT_RULE, POLKIT_RULE_TEXT, has_polkit};
use crate::doctor::finding::{Change, Finding};

const CHECK: &str = "cockpit-administrators";
const SEEN: &str =
    "\"Limited access\" in Cockpit, and \"Turn on administrative access\" asks for a password";

/// The rule for polkit, as far as it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PolkitRule {
    /// The rule of this program.
    Current,
    /// Another content, such as that of an older version.
    Other,
    /// No rule.
    Missing,
    /// Only root can read it.
    Unreadable,
}

/// Checks the way by which Cockpit becomes root; returns `None` on a route without administrators.
pub(super) fn examine(route: &Route) -> Option<Finding> {
    let settings = route.cockpit.as_ref();
    settings.filter(|cockpit| CockpitSettings::has_administrators(cockpit))?;
    let root = Path::new("/");
    Some(judge(
        Elevation::of(root),
        PolkitRule::read(Path::new(POLKIT_RULE)),
        has_polkit(root),
    ))
}

impl PolkitRule {
    fn read(path: &Path) -> Self {
        match std::fs::read(path) {
            Ok(text) if text == POLKIT_RULE_TEXT.as_bytes() => Self::Current,
            Ok(_) => Self::Other,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Self::Unreadable,
            Err(_) => Self::Missing,
        }
    }
}

fn judge(elevation: Elevation, rule: PolkitRule, has_polkit: bool) -> Finding {
    let warning = |message: &str| Finding::warning(CHECK, POLKIT_RULE, message);
    match (elevation, rule) {
        (Elevation::Sudo, PolkitRule::Current | PolkitRule::Other) => warning(
            "the rule for polkit exists, and Cockpit uses sudo on this machine",
        )
        .seen("nothing; the rule gives administrators a second way to become root, which Cockpit does not need")
        .change(Change::act("remove it").line(format!("rm {POLKIT_RULE}"))),
        (Elevation::Sudo, PolkitRule::Missing | PolkitRule::Unreadable) => Finding::ok(
            CHECK,
            "sudo",
            "administrators become root by sudo, if its rules ask them for no password",
        ),
        (Elevation::None, _) => Finding::warning(
            CHECK,
            "sudo",
            "sudo is missing or has no option `-A`, so that administrators cannot become root",
        )
        .seen(SEEN)
        .why("a Cockpit older than release 355 becomes root only by such a sudo")
        .change(Change::act("install another sudo than sudo-rs, or Cockpit 355 or newer")),
        (Elevation::Polkit, _) if !has_polkit => warning("polkit is not installed, so that administrators cannot become root")
            .seen(SEEN)
            .why(explain_polkit())
            .change(Change::act("install it").line("apt install polkitd"))
            .change(set_up()),
        (Elevation::Polkit, PolkitRule::Current) => Finding::ok(
            CHECK,
            POLKIT_RULE,
            "administrators become root by polkit, in their own Cockpit sessions only",
        ),
        (Elevation::Polkit, PolkitRule::Unreadable) => {
            Finding::ok(CHECK, POLKIT_RULE, "only root can read the rule, so that it is not checked")
        }
        (Elevation::Polkit, PolkitRule::Missing) => {
            warning("the rule by which administrators become root is missing")
                .seen(SEEN)
                .why(explain_polkit())
                .change(set_up())
        }
        (Elevation::Polkit, PolkitRule::Other) => {
            warning("the rule by which administrators become root is not the one of this release")
                .seen(SEEN)
                .why(explain_polkit())
                .change(set_up())
        }
    }
}

fn explain_polkit() -> &'static str {
    "sudo is missing or has no option `-A` (sudo-rs), so that Cockpit becomes root by a unit of systemd, for which polkit has to agree"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;

    #[test]
    fn every_way_that_does_not_work_is_reported() {
        use PolkitRule::{Current, Missing, Other, Unreadable};
        for (elevation, rule, has_polkit, outcome, part) in [
            (Elevation::Sudo, Missing, false, Outcome::Ok, "by sudo"),
            (
                Elevation::Sudo,
                Current,
                true,
                Outcome::Warning,
                "uses sudo",
            ),
            (
                Elevation::None,
                Missing,
                true,
                Outcome::Warning,
                "no option `-A`",
            ),
            (Elevation::Polkit, Current, true, Outcome::Ok, "by polkit"),
            (
                Elevation::Polkit,
                Unreadable,
                true,
                Outcome::Ok,
                "only root",
            ),
            (
                Elevation::Polkit,
                Missing,
                true,
                Outcome::Warning,
                "is missing",
            ),
            (
                Elevation::Polkit,
                Other,
                true,
                Outcome::Warning,
                "of this release",
            ),
            (
                Elevation::Polkit,
                Current,
                false,
                Outcome::Warning,
                "not installed",
            ),
        ] {
            let found = judge(elevation, rule, has_polkit);
            assert_eq!(found.outcome, outcome, "{elevation:?} {rule:?}");
            assert!(found.message.contains(part), "{}", found.message);
        }
    }

    #[test]
    fn the_rule_is_compared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rule");
        assert_eq!(PolkitRule::read(&path), PolkitRule::Missing);
        std::fs::write(&path, "// older").unwrap();
        assert_eq!(PolkitRule::read(&path), PolkitRule::Other);
        std::fs::write(&path, POLKIT_RULE_TEXT).unwrap();
        assert_eq!(PolkitRule::read(&path), PolkitRule::Current);
    }
}
