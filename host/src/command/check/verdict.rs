//! The result of `jetway check`.

use serde::Serialize;

use super::migration;
use jetway_config_file::{Inspection, JsonFinding};

/// The result of a check, for output as text or as JSON.
pub(super) struct Verdict<'i> {
    file: &'i str,
    inspection: &'i Inspection,
    strict: bool,
}

#[derive(Serialize)]
struct JsonVerdict<'a> {
    file: &'a str,
    ok: bool,
    problems: Vec<JsonFinding<'a>>,
    warnings: Vec<JsonFinding<'a>>,
    keys: Vec<migration::JsonKey>,
    /// The number of unknown keys that are not in `keys`, because there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    unknown_keys_left_out: usize,
}

/// The signature is serde's.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl<'i> Verdict<'i> {
    pub(super) fn of(file: &'i str, inspection: &'i Inspection, strict: bool) -> Self {
        Self {
            file,
            inspection,
            strict,
        }
    }

    /// Whether the exit status is 0.
    pub(super) fn is_ok(&self) -> bool {
        let (problems, warnings) = self.inspection.counts();
        problems == 0 && (warnings == 0 || !self.strict)
    }

    /// Renders the keys and the summary.
    pub(super) fn render_text(&self) -> String {
        let keys = migration::render_keys(self.inspection.usage());
        let gap = if keys.is_empty() { "" } else { "\n" };
        format!("{keys}{gap}{}: {}\n", self.file, self.summarize())
    }

    fn summarize(&self) -> String {
        let tally = self.inspection.tally();
        match self.inspection.config() {
            None => tally,
            Some(_) if !self.is_ok() => format!("{tally}, which --strict does not allow"),
            Some(config) => {
                let routes = config.routes.len();
                let noun = if routes == 1 { "route" } else { "routes" };
                let comma = if tally.is_empty() { "" } else { ", " };
                format!("ok, {routes} {noun}{comma}{tally}")
            }
        }
    }

    /// Renders one JSON object.
    pub(super) fn render_json(&self) -> serde_json::Result<String> {
        let (problems, warnings) = self.inspection.to_json();
        let usage = self.inspection.usage();
        serde_json::to_string_pretty(&JsonVerdict {
            file: self.file,
            ok: self.is_ok(),
            problems,
            warnings,
            keys: usage.keys().iter().map(migration::JsonKey::of).collect(),
            unknown_keys_left_out: usage.left_out(),
        })
    }
}
