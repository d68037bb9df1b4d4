use super::*;
use crate::command::cockpit::sample;
use serde_json::json;

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","x":"x","y":"y"}]}"#;

fn cockpit(host: &str, to: &str) -> Value {
    json!({"from": format!("https://{host}"), "to": to, "cockpit": {"user_claim": "unix"},
        "policy": [{"allow": {"or": [{"authenticated_user": true}]}}]})
}

fn told(routes: &Value, names: &[&str]) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let config = sample::config(routes, ":443");
    let routes = select_routes(&config, &names).map_err(|error| error.to_string())?;
    audiences(&routes).map_err(|error| error.to_string())
}

#[test]
fn each_cockpit_takes_assertions_for_itself_alone() {
    let here = cockpit("a.example.com", "http://localhost:9090");
    let also_here = cockpit("b.example.com", "http://localhost:9090");
    let there = cockpit("c.example.com", "https://10.0.0.3:9090");
    let beyond = cockpit("d.example.com", "https://10.0.0.4:9090");
    let also_called = cockpit("b.example.com", "http://127.0.0.1:9090");
    let both = vec!["a.example.com".to_owned(), "b.example.com".to_owned()];
    assert_eq!(told(&json!([here, also_here]), &[]), Ok(both.clone()));
    assert_eq!(
        told(&json!([here, also_here, there]), &[]),
        Ok(both.clone())
    );
    assert_eq!(
        told(&json!([there]), &[]),
        Ok(vec!["c.example.com".to_owned()])
    );
    let unclear = told(&json!([there, beyond]), &[]).unwrap_err();
    assert!(
        unclear.contains("`c.example.com`, `d.example.com`") && unclear.contains("--route"),
        "{unclear}"
    );
    assert_eq!(told(&json!([here, also_called]), &[]), Ok(both));
    let named = told(&json!([here, there]), &["a.example.com", "c.example.com"]);
    assert!(named.unwrap_err().contains("different Cockpits"));
    let without_key = |host: &str, to: &str| {
        let mut route = cockpit(host, to);
        route.as_object_mut().unwrap().remove("cockpit");
        route
    };
    let alike = [
        without_key("e.example.com", "http://10.0.0.1:9090"),
        without_key("f.example.com", "http://10.0.0.2:9090"),
    ];
    assert!(told(&json!(alike), &[]).is_err());
    assert_eq!(
        told(&json!([here, there, beyond]), &["d.example.com"]),
        Ok(vec!["d.example.com".to_owned()])
    );
}

#[test]
fn a_route_without_the_key_is_refused() {
    let with_key = cockpit("a.example.com", "http://localhost:9090");
    let mut without_key = cockpit("b.example.com", "http://localhost:9090");
    without_key.as_object_mut().unwrap().remove("cockpit");
    let config = sample::config(&json!([with_key, without_key]), ":443");
    let routes: Vec<&Route> = config.routes.iter().collect();
    assert!(require_mapping(&routes[..1]).is_ok());
    let refused = require_mapping(&routes).unwrap_err().to_string();
    assert!(
        refused.contains("`b.example.com` has no `cockpit` key") && !refused.contains('\n'),
        "{refused}"
    );
}

#[test]
fn hosts_and_keys_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let trusted = |hosts: &[&str], keys: &str| {
        std::fs::write(&file, keys).unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        Trusted::by_keys(&hosts, &file, Grants::default()).map_err(|error| format!("{error:#}"))
    };
    let twice = ["Cockpit.example.com", "cockpit.example.com"];
    let good = trusted(&twice, &format!("{KEYS}\n")).unwrap();
    assert_eq!(good.hosts, ["cockpit.example.com"]);
    assert_eq!(good.keys, KEYS);
    for host in [
        "",
        "*.example.com",
        "https://a.example.com",
        "a.example.com:8443",
        "a b",
        "a.example.com/x",
        "a.example.com,b.example.com",
        "[::1]",
    ] {
        let refused = trusted(&[host], KEYS).unwrap_err();
        assert!(refused.contains("is not a valid host"), "{host}: {refused}");
    }
    let private = KEYS.replace("\"x\":", "\"d\":\"secret\",\"x\":");
    for keys in ["", "<html>", "{\"keys\":[]}", private.as_str()] {
        let refused = trusted(&["a.example.com"], keys).unwrap_err();
        assert!(
            refused.contains("jetway cockpit keys") && !refused.contains("secret"),
            "{keys}: {refused}"
        );
    }
}
