//! `jetway doctor`: diagnoses the deployment: what breaks, why, what users would see, and how to fix it.
//!
//! Each check examines one thing and returns [`Finding`]s. Nothing is changed, every request has a time limit, and a check
//! depends on the success of another one only where it has nothing to examine without it.

mod answer;
mod certificates;
mod cockpit;
mod file;
mod finding;
mod listener;
mod names;
mod provider;
mod redirects;
mod repeated;
mod report;
mod subject;
#[cfg(test)]
mod testing;
mod upstream;
mod upstream_probe;
mod upstream_tls;

pub(crate) use finding::{Finding, Outcome};
pub(crate) use provider::collect_redirect_uris;
pub(crate) use report::Report;
pub(crate) use subject::Subject;

use jetway_config_file::Inspection;
use jetway_proxy::tls::Roots;

/// Returns the findings about the file alone.
pub(crate) fn examine_file(name: &str, inspection: &Inspection) -> Vec<Finding> {
    file::examine(name, inspection)
}

/// Returns the findings about everything that a usable file names.
pub(crate) async fn examine(subject: &Subject<'_>) -> Vec<Finding> {
    let roots = Roots::default();
    let mut findings = certificates::examine(subject, &roots);
    let listening = listener::examine(subject, &roots).await;
    let running = listening
        .iter()
        .any(|finding| finding.message == listener::JETWAY);
    findings.extend(listening);
    findings.extend(names::examine(subject, running, &roots).await);
    findings.extend(provider::examine(subject, &roots).await);
    findings.extend(upstream::examine(subject, &roots).await);
    findings
}
