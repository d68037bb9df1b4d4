//! GitHub's protocol: OAuth 2.0 with REST addresses instead of ID tokens. This is a GitHub Enterprise server, whose
//! interface is below `/api/v3`.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Response};
use serde_json::json;

use super::{ACCESS_TOKEN, json_answer, text_answer};

/// Path of the authorization page.
pub(super) const AUTHORIZE: &str = "/login/oauth/authorize";
/// Path at which codes are redeemed.
const TOKEN: &str = "/login/oauth/access_token";

/// Returns GitHub's response at one of its paths.
pub(super) fn answer(path: &str, account: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    let value = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if path == TOKEN {
        return Some(token(value(ACCEPT).unwrap_or_default()));
    }
    let what = path.strip_prefix("/api/v3")?;
    // GitHub refuses clients without a user agent.
    if value(USER_AGENT).is_none_or(str::is_empty) {
        return Some(text_answer(
            403,
            "Request forbidden by administrative rules.",
        ));
    }
    let bearer = value(AUTHORIZATION).and_then(|value| value.split_once(' '));
    if bearer.is_none_or(|(_, token)| token != ACCESS_TOKEN) {
        return Some(json_answer(401, &json!({"message": "Bad credentials"})));
    }
    let login = account.split('@').next().unwrap_or_default();
    match what {
        "/user" => Some(json_answer(
            200,
            &json!({"login": login, "id": 583_231, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "name": login, "email": null}),
        )),
        "/user/emails" => Some(json_answer(
            200,
            &json!([
                {"email": "old@example.org", "verified": false, "primary": false, "visibility": null},
                {"email": account, "verified": true, "primary": true, "visibility": "private"},
            ]),
        )),
        "/user/orgs" => Some(json_answer(
            200,
            &json!([{"login": "staff", "id": 1}, {"login": "octo-org", "id": 2}]),
        )),
        _ => None,
    }
}

/// Returns a form-encoded response unless JSON is requested.
fn token(accept: &str) -> Response<Bytes> {
    if accept.contains("application/json") {
        let body = json!({"access_token": ACCESS_TOKEN, "scope": "read:org,user:email", "token_type": "bearer"});
        return json_answer(200, &body);
    }
    let mut answer = text_answer(
        200,
        &format!("access_token={ACCESS_TOKEN}&scope=read%3Aorg&token_type=bearer"),
    );
    let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, form);
    answer
}
