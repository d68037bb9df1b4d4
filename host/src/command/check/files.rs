//! Checks that the files and certificates that a configuration names exist and can be used.

use std::collections::HashSet;
use std::path::Path;

use jetway_config_file::file;
use jetway_core::config::key::{Kind, Support};
use jetway_core::config::keys::visit;
use jetway_core::config::{Config, Route, Target};
use jetway_core::diagnostics::Problem;
use jetway_proxy::tls::{Certificates, Roots, TicketKeys, build_metrics_tls};
use serde_json::Value;

use jetway_config_file::{Inspection, find_key, route_path, value_at};

/// Most problems with files, and with certificates, that are reported: more say nothing new.
const MAX_PROBLEMS: usize = 50;

/// Adds the problems of these files, and returns the listener's certificates if they can be used.
pub(super) fn check(inspection: &mut Inspection) -> Option<Certificates> {
    let mut problems = find_unreadable(inspection.file());
    let mut certificates = None;
    if problems.is_empty()
        && let Some(config) = inspection.config()
    {
        match read_certificates(config, inspection.file()) {
            Ok(read) => certificates = Some(read),
            Err(problem) => problems.push(problem),
        }
        problems.extend(check_upstreams(config, inspection.file()));
        problems.extend(check_metrics_tls(config, inspection.file()));
    }
    inspection.add(problems, Vec::new());
    certificates
}

/// Returns a problem for each file that cannot be read, once per file.
fn find_unreadable(file: &Value) -> Vec<Problem> {
    let mut names = HashSet::new();
    let mut problems = Vec::new();
    visit(file, &mut |written| {
        let Some(key) = written.key else { return };
        let honoured = matches!(key.support, Support::Supported(_) | Support::Translated(..));
        if !honoured || !matches!(key.kind, Kind::File) || problems.len() >= MAX_PROBLEMS {
            return;
        }
        let name = value_at(file, written.path).and_then(Value::as_str);
        let Some(name) = name.filter(|name| !name.is_empty() && names.insert(*name)) else {
            return;
        };
        if let Err(error) = file::read("file", Path::new(name), file::MAX_PEM_BYTES) {
            let problem = Problem::new(written.path, error.to_string());
            problems.push(problem.help("name a PEM file that this user can read"));
        }
    });
    problems
}

/// Reads the listener's certificates. A problem has the key of the part that cannot be used.
fn read_certificates(config: &Config, file: &Value) -> Result<Certificates, Problem> {
    let problem = |key: String| move |error: anyhow::Error| Problem::new(key, format!("{error:#}"));
    let own = Certificates::read_own(&config.listener)
        .and_then(check_usable)
        .map_err(problem(find_certificate_key(file)))?;
    own.with_client_authority(&config.listener)
        .and_then(check_usable)
        .map_err(problem(
            find_key(file, &["downstream_mtls"]).unwrap_or_default(),
        ))
}

/// Returns the reason why the certificates of the metrics listener cannot be used.
fn check_metrics_tls(config: &Config, file: &Value) -> Option<Problem> {
    let listener = config.monitoring.metrics.as_ref()?;
    let error = build_metrics_tls(listener).err()?;
    let known = [
        "metrics_certificate_file",
        "metrics_certificate",
        "metrics_address",
    ];
    let key = find_key(file, &known).unwrap_or_default();
    Some(Problem::new(key, format!("{error:#}")))
}

fn check_usable(certificates: Certificates) -> anyhow::Result<Certificates> {
    certificates.server_config(&TicketKeys::generate()?)?;
    Ok(certificates)
}

/// Returns the key that holds the listener's certificates.
fn find_certificate_key(file: &Value) -> String {
    let known = ["certificate_file", "certificate", "certificates"];
    find_key(file, &known).unwrap_or_default()
}

fn check_upstreams(config: &Config, file: &Value) -> Vec<Problem> {
    let roots = Roots::default();
    let mut problems = Vec::new();
    for (index, route) in config.routes.iter().enumerate() {
        if let Some(error) = check_upstream(route, &roots)
            && problems.len() < MAX_PROBLEMS
        {
            problems.push(Problem::new(upstream_path(index, &error, file), error));
        }
    }
    problems
}

/// Returns the reason why an upstream's certificates cannot be used. Upstreams that rely on the system's authorities alone
/// are not checked.
fn check_upstream(route: &Route, roots: &Roots) -> Option<String> {
    let Target::Upstreams(upstreams) = &route.target else {
        return None;
    };
    let tls = &upstreams.tls;
    if tls.authorities.is_none() && tls.client.is_none() {
        return None;
    }
    let error = roots.upstream_config(tls).err()?;
    Some(format!("{error:#}"))
}

/// Returns the path of a route's certificate: errors name the key in backticks.
fn upstream_path(index: usize, error: &str, file: &Value) -> String {
    let route = route_path(index, file);
    let mut quoted = error.split('`').skip(1).step_by(2);
    match quoted.find(|key| key.starts_with("tls_")) {
        Some(key) => format!("{route}.{key}"),
        None => route,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_upstreams_certificate_has_its_path() {
        let file = json!({"Policy": [{}, {}], "routes": [{}]});
        let error = "cannot use `tls_client_key_file`: there is no `BEGIN` in it";
        let path = |index| upstream_path(index, error, &file);
        assert_eq!(path(1), "Policy[1].tls_client_key_file");
        assert_eq!(path(2), "routes[0].tls_client_key_file");
        let path = upstream_path(0, "the system has no authorities", &json!({"routes": [{}]}));
        assert_eq!(path, "routes[0]");
    }

    #[test]
    fn each_file_that_cannot_be_read_is_reported_once() {
        let file = json!({
            "certificate_file": "/no/such/a", "certificate_key_file": "/no/such/b",
            "downstream_mtls": {"ca_file": "/no/such/a"},
            "routes": [{"tls_custom_ca_file": "/no/such/c"}],
        });
        let problems = find_unreadable(&file);
        let paths: Vec<&str> = problems.iter().map(|problem| &*problem.path).collect();
        let expected = [
            "certificate_file",
            "certificate_key_file",
            "routes[0].tls_custom_ca_file",
        ];
        assert_eq!(paths, expected);
        assert!(
            problems[0]
                .message
                .contains("there is no file `/no/such/a`")
        );
    }
}
