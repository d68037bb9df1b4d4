//! The target of a route: upstreams, a redirect, or a fixed response.

mod redirect;
mod response;
mod tls;
mod upstreams;

pub use redirect::{Redirect, RedirectPath};
pub use response::FixedResponse;
pub use tls::UpstreamTls;
pub use upstreams::{Endpoint, Upstreams};

use crate::config::file_map::FileMap;
use crate::diagnostics::Findings;

/// The target of a permitted request.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The request is forwarded to one of these (`to`).
    Upstreams(Upstreams),
    /// The module redirects the client (`redirect`).
    Redirect(Redirect),
    /// The module sends this response (`response`).
    Response(FixedResponse),
}

/// A target, with data from the upstreams' URLs.
pub(super) struct ReadTarget {
    pub(super) target: Target,
    /// The path in the first `to`, if it has one.
    pub(super) path: Option<String>,
}

impl Target {
    pub(super) fn read(map: &FileMap<'_>, findings: &mut Findings) -> Option<ReadTarget> {
        const KEYS: [&str; 3] = ["to", "redirect", "response"];
        let given: Vec<&str> = KEYS.into_iter().filter(|key| map.has(key)).collect();
        if let [first, second, ..] = given.as_slice() {
            findings
                .problem(
                    &map.path_of(second),
                    format!("a route with `{first}` must not have `{second}`"),
                )
                .help("keep one of `to`, `redirect` and `response`");
        }
        let target = match given.first() {
            Some(&"redirect") => Self::Redirect(Redirect::read(map, findings)?),
            Some(&"response") => Self::Response(FixedResponse::read(map, findings)?),
            Some(_) => {
                let (upstreams, path) = Upstreams::read(map, findings)?;
                return Some(ReadTarget {
                    target: Self::Upstreams(upstreams),
                    path,
                });
            }
            None => {
                findings
                    .problem(&map.path_of("to"), "`to` is missing")
                    .help("write for example `to: http://localhost:9090`, or `redirect` or `response`");
                return None;
            }
        };
        Some(ReadTarget { target, path: None })
    }

    /// Returns the upstreams, if requests are forwarded.
    #[must_use]
    pub const fn upstreams(&self) -> Option<&Upstreams> {
        match self {
            Self::Upstreams(upstreams) => Some(upstreams),
            Self::Redirect(_) | Self::Response(_) => None,
        }
    }
}
