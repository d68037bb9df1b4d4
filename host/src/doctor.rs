//! `jetway doctor`: would it work for a visitor, and if not, what would the visitor see, why, and what is to be changed?
//!
//! Each check asks one thing and returns [`Finding`]s. Nothing is changed anywhere, every question has a limit, and no
//! check depends on another one's success but where there is nothing to ask without it.

mod answer;
mod certificates;
mod cockpit;
mod file;
mod finding;
mod listener;
mod names;
mod provider;
mod report;
mod subject;
#[cfg(test)]
mod testing;
mod upstream;
mod visit;

pub(crate) use finding::{Finding, Outcome};
pub(crate) use report::Report;
pub(crate) use subject::Subject;

use jetway_config_file::Inspection;
use jetway_proxy::tls::Roots;

/// What there is to say about the file alone.
pub(crate) fn of_file(name: &str, inspection: &Inspection) -> Vec<Finding> {
    file::examine(name, inspection)
}

/// What there is to say about everything that a usable file names.
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
