mod bounds;
mod changes;
mod cockpit;
mod email_trust;
mod identity;
mod keys;
mod listener;
mod monitoring;
mod routes;

use serde_json::{Value, json};

use crate::config::{Config, ConfigError, EmailVerification, Loaded, PathMatch, Route};

const SECRET: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn read(value: &Value) -> Result<Loaded, ConfigError> {
    Config::read(value, &|_| None)
}

fn guide() -> Value {
    json!({
        "idp_provider": "oidc",
        "idp_provider_url": "https://idp.example.com",
        "idp_client_id": "cockpit",
        "idp_client_secret": "hush-hush",
        "cookie_secret": SECRET,
        "routes": [{
            "from": "https://cockpit.localhost:8443",
            "to": "http://localhost:9090",
            "allow_websockets": true,
            "policy": [{"allow": {"or": [{"email": {"is": "alice@example.com"}}]}}],
        }],
    })
}

/// The guide's file with one value changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut file = guide();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    file.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .insert(key.to_owned(), value);
    file
}

/// The guide's file with further keys in its route.
fn merged(keys: Value) -> Value {
    let mut file = guide();
    let Value::Object(keys) = keys else {
        return file;
    };
    file["routes"][0].as_object_mut().unwrap().extend(keys);
    file
}

/// The guide's route with further keys.
fn route(keys: Value) -> Result<Route, ConfigError> {
    read(&merged(keys)).map(|mut loaded| loaded.config.routes.remove(0))
}

/// A key of a route, a value that it does not take, and what the problem says.
type Case = (&'static str, Value, &'static str);

/// Each value alone makes one problem, below its key and with help.
fn all_fail(cases: &[Case]) {
    for (key, value, message) in cases {
        let error = read(&merged(json!({*key: value}))).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{key} {value}: {error}");
        let problem = &error.problems[0];
        assert!(problem.message.contains(message), "{key} {value}: {error}");
        assert!(
            problem.path.starts_with(&format!("routes[0].{key}")),
            "{error}"
        );
        assert!(problem.help.is_some(), "{error}");
    }
}

fn without(key: &str) -> Value {
    let mut file = guide();
    file.as_object_mut().unwrap().remove(key);
    file
}

#[test]
fn the_guide_is_read() {
    let loaded = read(&guide()).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let config = loaded.config;
    let route = &config.routes[0];
    assert_eq!(
        (route.from.authority().as_str(), route.from.port),
        ("cockpit.localhost:8443", Some(8443))
    );
    assert_eq!(
        route.target.upstreams().unwrap().endpoints[0]
            .origin
            .to_string(),
        "http://localhost:9090"
    );
    assert_eq!((route.path.clone(), route.timeout), (PathMatch::Any, None));
    assert_eq!(route.id.len(), 16);
    assert_eq!(config.session.cookie_name, "__Host-_pomerium");
    assert_eq!(config.session.lifetime.as_secs(), 14 * 3600);
    let provider = config.provider.unwrap();
    assert_eq!(
        provider
            .origins()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["https://idp.example.com"]
    );
    assert!(!format!("{provider:?}").contains("hush"));
}

#[test]
fn the_id_follows_the_destination_and_not_the_policy() {
    let id = |file: &Value| read(file).unwrap().config.routes[0].id.clone();
    let policy = with(
        "/routes/0/policy",
        json!([{"allow": {"or": [{"accept": true}]}}]),
    );
    assert_eq!(id(&guide()), id(&policy));
    assert_ne!(
        id(&guide()),
        id(&with("/routes/0/to", json!("http://localhost:9091")))
    );
}

#[test]
fn keys_are_read_in_any_case_and_variables_override() {
    let mut file = without("cookie_secret");
    file.as_object_mut()
        .unwrap()
        .insert("Cookie_Secret".to_owned(), json!("nonsense"));
    let variable = |name: &str| (name == "COOKIE_SECRET").then(|| SECRET.to_owned());
    assert!(Config::read(&file, &variable).is_ok());
    assert!(read(&file).is_err());
}

#[test]
fn every_problem_is_told_at_once() {
    let file = json!({
        "address": "nowhere",
        "idp_provider": "okta",
        "cookie_expire": "1s",
        "routes": [
            {"from": "http://a.test", "to": "http://b"},
            {"from": "https://a.test/x", "to": "ftp://b"},
            {"to": "http://b/path"},
        ],
    });
    let error = read(&file).unwrap_err();
    let paths: Vec<&str> = error
        .problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "address",
            "cookie_expire",
            "idp_client_id",
            "idp_provider_url",
            "routes[0].from",
            "routes[1].from",
            "routes[1].to",
            "routes[2].from",
        ]
    );
    assert!(
        error
            .problems
            .iter()
            .all(|problem| !problem.message.ends_with('.') && !problem.message.contains('\n'))
    );
}

#[test]
fn single_problems() {
    for (pointer, value, message) in [
        ("/routes/0/from", json!("cockpit.example.com"), "not a URL"),
        (
            "/routes/0/from",
            json!("https://a.test/x"),
            "must not have a path",
        ),
        (
            "/routes/0/to",
            json!("https://u:p@a"),
            "not the URL of an upstream",
        ),
        ("/routes/0/path", json!("/a/../b"), "normalized path"),
        ("/routes/0/prefix", json!("a"), "normalized path"),
        ("/routes/0/timeout", json!(30), "a duration with a unit"),
        (
            "/routes/0/allow_websockets",
            json!("yes"),
            "must be `true` or `false`",
        ),
        (
            "/routes/0/policy",
            json!({"allow": {"or": [{"device": {"is": "x"}}]}}),
            "is not supported",
        ),
        (
            "/routes/0/allow_public_unauthenticated_access",
            json!(1),
            "must be `true` or `false`",
        ),
        (
            "/idp_provider_url",
            json!("http://idp.example.com"),
            "plain HTTP",
        ),
        (
            "/idp_provider_url",
            json!("https://idp.example.com/?x"),
            "not an issuer",
        ),
        (
            "/idp_extra_origins",
            json!(["https://a.test/path"]),
            "not an https origin",
        ),
        ("/idp_request_params", json!({"state": "x"}), "Jetway sets"),
        ("/cookie_secret", json!("c2hvcnQ="), "32 bytes"),
        ("/cookie_name", json!("a b"), "not a valid cookie name"),
        (
            "/require_email_verified",
            json!("maybe"),
            "must be `strict` or `off`",
        ),
        ("/certificate_file", json!("x.pem"), "without its key"),
        ("/downstream_mtls", json!({}), "needs the authorities"),
        ("/xff_num_trusted_hops", json!(-1), "an integer from"),
    ] {
        let error = read(&with(pointer, value.clone())).unwrap_err();
        assert_eq!(error.problems.len(), 1, "{pointer} {value}: {error}");
        assert!(
            error.problems[0].message.contains(message),
            "{pointer} {value}: {error}"
        );
    }
}

#[test]
fn what_is_missing() {
    for key in [
        "idp_provider",
        "idp_provider_url",
        "idp_client_id",
        "cookie_secret",
        "routes",
    ] {
        let error = read(&without(key)).unwrap_err();
        assert!(
            error
                .problems
                .iter()
                .any(|problem| problem.path == key && problem.help.is_some()),
            "{key}: {error}"
        );
    }
    let mut public = with(
        "/routes/0/policy",
        json!({"allow": {"or": [{"accept": true}]}}),
    );
    public
        .as_object_mut()
        .unwrap()
        .retain(|key, _| key == "routes");
    assert!(read(&public).is_ok(), "a public route needs no provider");
}

#[test]
fn warnings() {
    for (pointer, value, message, help) in [
        (
            "/rotues",
            json!(1),
            "unknown key `rotues`",
            Some("did you mean `routes`?"),
        ),
        (
            "/routes/0/alow_websockets",
            json!(true),
            "unknown key",
            Some("did you mean `allow_websockets`?"),
        ),
        ("/routes/0/zebra", json!(true), "unknown key `zebra`", None),
        (
            "/authenticate_internal_service_url",
            json!("https://a.test"),
            "has no effect",
            Some("register"),
        ),
    ] {
        let loaded = read(&with(pointer, value)).unwrap();
        let warning = &loaded.warnings[0];
        assert!(warning.message.contains(message), "{warning}");
        assert_eq!(warning.help.is_some(), help.is_some());
        assert!(
            help.is_none_or(|help| warning.help.as_deref().unwrap().contains(help)),
            "{warning}"
        );
    }
    let mut file = guide();
    file["routes"][0].as_object_mut().unwrap().remove("policy");
    assert!(
        read(&file).unwrap().warnings[0]
            .message
            .contains("every request to this route is refused")
    );
}

#[test]
fn older_keys_and_choices() {
    let mut file = guide();
    let routes = file.as_object_mut().unwrap().remove("routes").unwrap();
    file.as_object_mut()
        .unwrap()
        .insert("policy".to_owned(), routes);
    assert_eq!(read(&file).unwrap().config.routes.len(), 1);
    let config = |pointer, value| read(&with(pointer, value)).unwrap().config;
    let verification = |value| {
        config("/require_email_verified", value)
            .provider
            .unwrap()
            .email_trust
            .verification
    };
    assert_eq!(verification(json!("strict")), EmailVerification::Strict);
    assert_eq!(verification(json!(false)), EmailVerification::Off);
    assert_eq!(
        config("/idp_scopes", json!("openid, email"))
            .provider
            .unwrap()
            .scopes,
        ["openid", "email"]
    );
    assert_eq!(
        config("/routes/0/timeout", json!("0s")).routes[0].timeout,
        None
    );
    assert_eq!(
        config("/routes/0/timeout", json!("5s")).routes[0]
            .timeout
            .map(|t| t.as_secs()),
        Some(5)
    );
}

#[test]
fn strange_files_are_survived() {
    for value in [
        json!(null),
        json!([]),
        json!({"routes": {}}),
        json!({"routes": [1]}),
        json!({"routes": [{"from": []}]}),
    ] {
        assert!(read(&value).is_err(), "{value}");
    }
}
