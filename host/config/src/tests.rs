use std::ffi::OsString;

use super::*;
use crate::source::Source;

const SECRET: &str = "cookie_secret: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

fn inspected(text: &str, variables: &[(&str, &str)]) -> Inspection {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let source = Source::of_config("test.yaml", text.to_owned());
    Inspection::of_source(source, None, &lookup, Secrets::Read)
}

fn shown(text: &str) -> String {
    inspected(text, &[]).render(false)
}

fn route(rest: &str) -> String {
    let policy = "    policy: [{allow: {or: [{accept: true}]}}]\n";
    format!(
        "insecure_server: true\nroutes:\n  - from: https://a.example.com\n    to: http://b\n{policy}{rest}"
    )
}

#[test]
fn every_problem_is_shown_with_its_line_and_route() {
    let text = "\
routes:
  - name: wiki
    from: ftp://a.example.com
    to: http://127.0.0.1:1
    policy:
      - allow:
          or:
            - emial: alice@example.com
";
    let shown = shown(text);
    let places: Vec<usize> = ["test.yaml:3:11", "test.yaml:8:15"]
        .iter()
        .map(|place| shown.find(place).unwrap_or_else(|| panic!("{shown}")))
        .collect();
    assert!(places.is_sorted(), "{shown}");
    assert!(
        shown.contains("route `wiki` (ftp://a.example.com)"),
        "{shown}"
    );
    // The criterion's name is wrong, not its value.
    assert!(shown.contains("              ^^^^^\n"), "{shown}");
    assert!(shown.contains("did you mean `email`?"), "{shown}");
}

#[test]
fn a_missing_secret_file_is_reported_once() {
    let text = route("cookie_secret_file: /no/such/secret\n")
        .replace("{accept: true}", "{email: alice@example.com}");
    let provider =
        "idp_provider: oidc\nidp_provider_url: https://idp.example.com\nidp_client_id: a\n";
    let inspection = inspected(&format!("{provider}{text}"), &[]);
    let shown = inspection.render(false);
    assert_eq!(inspection.counts().0, 1, "{shown}");
    assert!(shown.contains("`/no/such/secret`"), "{shown}");
    // Without the key that names a file, the secret itself is missing.
    let text = text.replace("cookie_secret_file: /no/such/secret\n", "");
    let inspection = inspected(&format!("{provider}{text}"), &[]);
    let shown = inspection.render(false);
    assert_eq!(inspection.counts().0, 1, "{shown}");
    assert!(shown.contains("`cookie_secret`"), "{shown}");
}

#[test]
fn an_unknown_key_is_underlined_and_refused_on_demand() {
    let mut inspection = inspected(&route("    tiemout: 30s\n"), &[]);
    let shown = inspection.render(false);
    assert!(shown.contains("warning: unknown key `tiemout`"), "{shown}");
    assert!(
        shown.contains("    tiemout: ***\n  |     ^^^^^^^\n"),
        "{shown}"
    );
    assert!(inspection.config().is_some());
    inspection.refuse_unknown_keys();
    assert!(
        inspection
            .render(false)
            .contains("error: unknown key `tiemout`")
    );
    assert!(inspection.config().is_none());
}

#[test]
fn duplicate_keys_are_problems() {
    let shown = shown(&route("address: :1\naddress: :2\n"));
    assert!(shown.contains("error: duplicate key `address`"), "{shown}");
    assert!(shown.contains("test.yaml:7:1"), "{shown}");
    assert!(shown.contains("the first is in line 6"), "{shown}");
}

#[test]
fn variables_stand_for_keys_and_are_named() {
    let variables = [("ADDRESS", "nowhere"), ("TIMEOUT_IDLE", "1m")];
    let inspection = inspected(&route("address: :443\n"), &variables);
    let shown = inspection.render(false);
    assert!(
        shown.contains("--> the environment variable `ADDRESS`"),
        "{shown}"
    );
    assert!(!shown.contains("address: :443"), "{shown}");

    let inspection = inspected(&route("address: :443\n"), &variables[1..]);
    let file = inspection.into_parts(false).unwrap().file;
    assert_eq!(file["timeout_idle"], "1m");
}

#[test]
fn variables_are_named_wherever_in_their_keys_a_problem_is() {
    for (name, value) in [
        ("ALLOW_UPGRADES", "x"),
        ("HEADERS", "{\"bad name\": \"x\"}"),
        ("COOKIE_SECRET", "x"),
    ] {
        let inspection = inspected(&route(SECRET), &[(name, value)]);
        let (problems, _) = inspection.counts();
        assert_eq!(problems, 1, "{name}");
        let shown = inspection.render(false);
        let error = shown
            .find("error: ")
            .and_then(|at| shown.get(at..))
            .unwrap();
        let place = format!("--> the environment variable `{name}`");
        assert!(error.contains(&place), "{shown}");
    }
}

#[test]
fn passwords_of_addresses_are_not_shown() {
    let text = "\
idp_provider: oidc
idp_provider_url: https://admin:HUNTER2@idp.example.com
routes:
  - from: https://admin:HUNTER2@a.example.com
    to: [http://admin:HUNTER2@10.0.0.1:80]
    http://admin:HUNTER2@a: 1
";
    let inspection = inspected(text, &[]);
    let shown = inspection.render(false);
    assert!(!shown.contains("HUNTER2"), "{shown}");
    let message = "`http://***@10.0.0.1:80` is not the URL of an upstream";
    assert!(shown.contains(message), "{shown}");
    assert!(
        shown.contains("route `https://***@a.example.com`"),
        "{shown}"
    );
    let told = serde_json::to_string(&inspection.to_json()).unwrap();
    assert!(!told.contains("HUNTER2"), "{told}");
}

#[test]
fn policy_holds_routes() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let routes = "- from: https://p.example.com\n  to: http://c\n  allow_public_unauthenticated_access: true\n";
    let encoded = STANDARD.encode(routes);
    let inspection = inspected(
        &route("policy: [{from: broken}]\n"),
        &[("POLICY", &encoded)],
    );
    let ConfigFile { config, file, .. } = inspection.into_parts(false).unwrap();
    assert_eq!(config.routes.len(), 2);
    assert_eq!(file["policy"][0]["to"], "http://c");

    let encoded = STANDARD.encode(routes.replace("http://c", "c"));
    let inspection = inspected(&route(""), &[("POLICY", &encoded)]);
    let shown = inspection.render(false);
    assert!(
        shown.contains("--> the environment variable `POLICY`, decoded:2:7"),
        "{shown}"
    );
    assert!(shown.contains("  to: c\n"), "{shown}");
    assert!(shown.contains("route `https://p.example.com`"), "{shown}");

    let inspection = inspected(&route(""), &[("POLICY", "- from: x")]);
    let shown = inspection.render(false);
    assert!(shown.contains("error: the value is not base64"), "{shown}");
}

#[test]
fn secrets_are_made_up_for_those_who_only_ask() {
    let text = "\
insecure_server: true
idp_provider: oidc
idp_provider_url: https://idp.example.com
idp_client_id: x
idp_client_secret_file: /no/such/file
cookie_secret_file: /no/such/file
routes: [{from: https://a.example.com, to: http://b, allow_any_authenticated_user: true}]
";
    let read = |secrets| {
        Inspection::of_source(
            Source::of_config("", text.to_owned()),
            None,
            &|_| None,
            secrets,
        )
        .into_parts(false)
    };
    assert!(read(Secrets::MadeUp).is_ok());
    let refused = read(Secrets::Read).err().unwrap().to_string();
    assert_eq!(
        refused
            .matches("there is no secret `/no/such/file`")
            .count(),
        2
    );
}

#[test]
fn secrets_in_an_exposed_file_are_warned_about() {
    let text = route(SECRET);
    let mode = Some(0o644);
    let source = Source::of_config("a.yaml", text);
    let inspection = Inspection::of_source(source, mode, &|_| None, Secrets::Read);
    let shown = inspection.render(false);
    assert!(shown.contains("(mode 0644)"), "{shown}");
    assert!(shown.contains("run `chmod 600 a.yaml`, or use `cookie_secret_file`"));
    assert!(!shown.contains("AAAA"), "{shown}");
}

#[test]
fn other_formats_are_named() {
    let shown = shown("[routes]\nfrom = 1\n");
    assert!(shown.contains("TOML"), "{shown}");
    let inspection = inspect(Path::new("/etc/jetway.toml"));
    assert!(inspection.render(false).contains("TOML"));
}

#[test]
fn a_file_that_is_not_there_is_a_problem() {
    let inspection = inspect(Path::new("no/such/file.yaml"));
    let shown = inspection.render(false);
    assert!(
        shown.contains("there is no configuration `no/such/file.yaml`"),
        "{shown}"
    );
    assert_eq!(inspection.counts(), (1, 0));
}

#[test]
fn a_syntax_error_has_a_place() {
    let refused = inspected("routes:\n  - from: [\n", &[]).into_parts(false);
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("test.yaml:2:11"), "{refused}");
    assert!(refused.ends_with("test.yaml: 1 problem"), "{refused}");
}
