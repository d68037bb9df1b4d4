//! Client authentication at the token endpoint (RFC 6749 section 2.3, OpenID Connect Core 1.0 section 9).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::config::ClientAuth;
use crate::env::Env;
use crate::oidc::token::OAuthClient;
use crate::session::signing_key::AssertionKey;

/// Lifetime of a client assertion in seconds: it is used at once, and clocks may differ.
const LIFETIME: u64 = 120;

/// The type of a client assertion that is a JWT (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A form that is being written.
pub(super) type FormFields = form_urlencoded::Serializer<'static, String>;

/// Adds the client's authentication to a form, and returns the value of the `Authorization` header when the
/// authentication belongs there instead. `None` without randomness.
pub(super) fn authenticate(
    client: OAuthClient<'_>,
    form: &mut FormFields,
    env: &mut Env<'_>,
) -> Option<Option<String>> {
    let settings = client.settings;
    let secret = String::from_utf8_lossy(settings.client_secret.expose());
    let id = settings.client_id.as_str();
    let in_header = match &settings.client_auth {
        ClientAuth::Basic => true,
        ClientAuth::AsOffered => client.discovered.accepts_basic,
        ClientAuth::Post | ClientAuth::PrivateKey(_) | ClientAuth::None => false,
    };
    if in_header {
        return Some(Some(encode_basic(id, &secret)));
    }
    form.append_pair("client_id", id);
    match &settings.client_auth {
        ClientAuth::PrivateKey(key) => {
            let assertion = sign_assertion(key, client, env)?;
            form.append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", &assertion);
        }
        ClientAuth::None => {}
        ClientAuth::Basic | ClientAuth::AsOffered | ClientAuth::Post => {
            form.append_pair("client_secret", &secret);
        }
    }
    Some(None)
}

/// Encodes an id and a secret for HTTP Basic. Both are form-encoded before they are joined (RFC 6749 section 2.3.1), so
/// that a colon in the id does not end it.
fn encode_basic(client_id: &str, secret: &str) -> String {
    let encode =
        |string: &str| form_urlencoded::byte_serialize(string.as_bytes()).collect::<String>();
    format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret)))
    )
}

/// Signs a client assertion (RFC 7523 section 3). Its audience is the issuer, which every endpoint of the provider has to
/// accept and no other provider accepts. Where the issuer is a template, the audience is the token endpoint.
fn sign_assertion(
    key: &AssertionKey,
    client: OAuthClient<'_>,
    env: &mut Env<'_>,
) -> Option<String> {
    let client_id = &client.settings.client_id;
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", json!(client_id)),
        ("sub", json!(client_id)),
        ("aud", json!(client.discovered.assertion_audience())),
        ("jti", json!(env.token::<16>().ok()?)),
        ("iat", json!(env.now.0)),
        ("exp", json!(env.now.plus(LIFETIME).0)),
    ] as [(&str, Value); 6]
    {
        claims.insert(name.to_owned(), value);
    }
    key.sign(&claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::metadata::Discovered;
    use crate::secret::Secret;
    use crate::testing::{CLIENT, FakeProvider, Fixture, ISSUER, provider_settings};

    fn authenticate_by(
        auth: ClientAuth,
        accepts_basic: bool,
    ) -> (Option<String>, Map<String, Value>) {
        let mut settings = provider_settings();
        settings.client_auth = auth;
        let document = FakeProvider::new().discovery();
        let mut discovered = Discovered::read(document.as_bytes(), &settings).unwrap();
        discovered.accepts_basic = accepts_basic;
        let client = OAuthClient {
            settings: &settings,
            discovered: &discovered,
        };
        let mut form = FormFields::new(String::new());
        let header = authenticate(client, &mut form, &mut Fixture::new().env()).unwrap();
        let form = form.finish();
        let fields = form_urlencoded::parse(form.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())));
        (header, fields.collect())
    }

    #[test]
    fn the_secret_goes_where_the_method_says() {
        let names = |form: &Map<String, Value>| form.keys().cloned().collect::<Vec<_>>().join(" ");
        for (auth, accepts_basic, in_header, form) in [
            (ClientAuth::Basic, false, true, ""),
            (ClientAuth::AsOffered, true, true, ""),
            (
                ClientAuth::AsOffered,
                false,
                false,
                "client_id client_secret",
            ),
            (ClientAuth::Post, true, false, "client_id client_secret"),
            (ClientAuth::None, true, false, "client_id"),
        ] {
            let (header, fields) = authenticate_by(auth, accepts_basic);
            assert_eq!(
                (header.is_some(), names(&fields).as_str()),
                (in_header, form)
            );
        }
    }

    #[test]
    fn a_private_key_takes_the_place_of_the_secret() {
        let key = AssertionKey::derived(&Secret::new(vec![4; 32])).named(Some("ours".to_owned()));
        let (header, form) = authenticate_by(ClientAuth::PrivateKey(key), true);
        assert_eq!((header, form.get("client_secret")), (None, None));
        assert_eq!(form["client_assertion_type"], ASSERTION_TYPE);
        let token = form["client_assertion"].as_str().unwrap();
        let part = |place: usize| -> Value {
            use base64::engine::general_purpose::URL_SAFE_NO_PAD;
            let part = token.split('.').nth(place).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(
            part(0),
            json!({"alg": "ES256", "typ": "JWT", "kid": "ours"})
        );
        let claims = part(1);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!(CLIENT), &json!(CLIENT), &json!(ISSUER))
        );
    }

    #[test]
    fn credentials_are_encoded_before_they_are_joined() {
        let header = encode_basic("a:b", "p+%\u{e9} x");
        let decoded = STANDARD
            .decode(header.strip_prefix("Basic ").unwrap())
            .unwrap();
        assert_eq!(decoded, b"a%3Ab:p%2B%25%C3%A9+x");
    }
}
