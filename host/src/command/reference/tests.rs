use jetway_config_file::YamlFile;
use jetway_core::config::Config;
use jetway_core::config::keys::{GLOBAL, ROUTE};
use jetway_core::policy::language::{CRITERIA, MATCHERS};
use serde_json::json;

use super::configuration::nested_tables;
use super::*;

/// The variable that makes the test write the references instead of comparing them.
const WRITE: &str = "JETWAY_WRITE_REFERENCE";

fn check_document(name: &str, reference: &str) {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, reference).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == reference,
        "docs/{name} is out of date: run this test with {WRITE}=1"
    );
}

fn metrics_reference() -> String {
    format!(
        "# Metrics\n\nJetway's own proxy serves these metrics at `/metrics` of `metrics_address` and of `admin_address`, as Prometheus text or, for a\nclient that asks for it, as OpenMetrics text. No client of the proxy chooses the value of a label. This file is generated from the\ncode.\n\n{}",
        jetway_proxy::metrics::render_reference()
    )
}

#[test]
fn the_documents_of_the_repository_are_up_to_date() {
    check_document("configuration.md", &configuration_reference());
    check_document("policy-language.md", &policy_reference());
    check_document("metrics.md", &metrics_reference());
}

#[test]
fn every_key_has_its_row() {
    let markdown = configuration_reference();
    let nested = nested_tables().into_iter().flat_map(|(_, table)| table);
    for key in GLOBAL.iter().chain(ROUTE).chain(nested) {
        assert!(
            markdown.contains(&format!("\n| `{}` | ", key.name)),
            "{}",
            key.name
        );
    }
}

#[test]
fn maps_have_their_sections() {
    let markdown = configuration_reference();
    for title in [
        "Keys of `downstream_mtls`",
        "Keys of `redirect`",
        "Keys of `certificates`",
    ] {
        let heading = format!("## {title}\n");
        assert_eq!(markdown.matches(&heading).count(), 1, "{title}");
    }
    assert!(
        !markdown.contains("Keys of `policy`"),
        "routes have their own section"
    );
}

#[test]
fn rows_have_as_many_cells_as_their_table() {
    let markdown = configuration_reference() + &policy_reference();
    let mut columns = 0;
    for line in markdown.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace(r"\|", "").matches('|').count() - 1;
        if line.starts_with("| `") {
            assert_eq!(cells, columns, "{line}");
        }
        columns = cells;
    }
}

#[test]
fn every_criterion_and_matcher_has_its_section() {
    let markdown = policy_reference();
    for entry in CRITERIA {
        let heading = format!("\n#### `{}`\n", entry.doc.name);
        assert_eq!(markdown.matches(&heading).count(), 1, "{heading}");
    }
    for matcher in MATCHERS {
        let heading = format!("\n## {}\n", matcher.title);
        assert_eq!(markdown.matches(&heading).count(), 1, "{heading}");
        let anchor = matcher.title.to_lowercase().replace(' ', "-");
        assert!(markdown.contains(&format!("(#{anchor})")), "{anchor}");
    }
}

/// Each example in the policy reference is read without a problem.
#[test]
fn the_examples_of_the_policy_reference_are_read() {
    let markdown = policy_reference();
    let blocks = markdown.split("```yaml\n").skip(1);
    let mut seen = 0;
    for block in blocks.filter_map(|block| block.split("```").next()) {
        let file = YamlFile::parse("block".to_owned(), block.to_owned(), false).unwrap();
        let policy = match file.content().get("policy") {
            Some(policy) => policy.clone(),
            None => json!({"allow": {"or": file.content()}}),
        };
        let route = json!({"from": "https://a.test", "to": "http://b", "policy": policy});
        let file = json!({
            "routes": [route],
            "idp_provider": "oidc",
            "idp_provider_url": "https://idp.test",
            "idp_client_id": "c",
            "idp_client_secret": "s",
            "cookie_secret": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "insecure_server": true,
        });
        if let Err(error) = Config::read(&file, &|_| None) {
            panic!("{block}: {error}");
        }
        seen += 1;
    }
    assert_eq!(seen, CRITERIA.len() + 1);
}
