//! Reads `response` of a route.

use crate::config::file_map::FileMap;
use crate::config::keys::RESPONSE;
use crate::diagnostics::Findings;

/// A fixed response (`response`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// HTTP status, 200 to 599.
    pub status: u16,
    /// The HTTP body, in plain text.
    pub body: String,
}

/// The default status.
const DEFAULT_STATUS: u16 = 200;
/// The longest body in bytes: it is a notice, and every worker keeps it in memory.
const MAX_BODY: usize = 64 * 1024;

impl FixedResponse {
    pub(super) fn read(route: &FileMap<'_>, findings: &mut Findings) -> Option<Self> {
        let map = route.map_below("response", RESPONSE, findings)?;
        let status = map.integer("status", 200, 599, findings);
        let body = map.string("body", findings).unwrap_or_default();
        if body.len() > MAX_BODY {
            findings
                .problem(
                    &map.path_of("body"),
                    format!("`body` is longer than {MAX_BODY} bytes"),
                )
                .help("let a web server serve it, and write that server in `to`");
        }
        Some(Self {
            status: status
                .and_then(|status| u16::try_from(status).ok())
                .unwrap_or(DEFAULT_STATUS),
            body,
        })
    }
}
