//! Proving at the token endpoint that we are the client (RFC 6749 section 2.3, OpenID Connect Core 1.0 section 9).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::metadata::Discovered;
use crate::config::{ClientAuth, ProviderSettings};
use crate::env::Env;
use crate::session::signing_key::AssertionKey;

/// Life of a client's own assertion in seconds: it is used at once, and clocks may differ.
const LIFETIME: u64 = 120;

/// What kind of assertion a client's is (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Adds to the form what proves who we are, and returns the value of the `Authorization` header, if there is one.
///
/// `None` without randomness.
pub(super) fn prove(
    settings: &ProviderSettings,
    discovered: &Discovered,
    form: &mut form_urlencoded::Serializer<'static, String>,
    env: &mut Env<'_>,
) -> Option<Option<String>> {
    let secret = String::from_utf8_lossy(settings.client_secret.expose());
    let id = settings.client_id.as_str();
    let in_header = match &settings.client_auth {
        ClientAuth::Basic => true,
        ClientAuth::AsOffered => discovered.accepts_basic,
        ClientAuth::Post | ClientAuth::PrivateKey(_) | ClientAuth::None => false,
    };
    if in_header {
        return Some(Some(basic(id, &secret)));
    }
    form.append_pair("client_id", id);
    match &settings.client_auth {
        ClientAuth::PrivateKey(key) => {
            let assertion = sign(key, id, discovered, env)?;
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

/// Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1), so that a colon in them is no border.
fn basic(client_id: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", encode(client_id), encode(secret)))
    )
}

/// A token that says who we are (RFC 7523 section 3). Its audience is the issuer, which every endpoint of a provider has
/// to accept, and which no other provider does; where that is no address, the token endpoint.
fn sign(
    key: &AssertionKey,
    client_id: &str,
    discovered: &Discovered,
    env: &mut Env<'_>,
) -> Option<String> {
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", json!(client_id)),
        ("sub", json!(client_id)),
        ("aud", json!(discovered.own_name())),
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
    use crate::secret::Secret;
    use crate::testing::{CLIENT, FakeProvider, Fixture, ISSUER, provider_settings};

    fn proof(auth: ClientAuth, accepts_basic: bool) -> (Option<String>, Map<String, Value>) {
        let mut settings = provider_settings();
        settings.client_auth = auth;
        let document = FakeProvider::new().discovery();
        let mut discovered = Discovered::read(document.as_bytes(), &settings).unwrap();
        discovered.accepts_basic = accepts_basic;
        let mut form = form_urlencoded::Serializer::new(String::new());
        let mut fixture = Fixture::new();
        let header = prove(&settings, &discovered, &mut form, &mut fixture.env()).unwrap();
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
            let (header, fields) = proof(auth, accepts_basic);
            assert_eq!(
                (header.is_some(), names(&fields).as_str()),
                (in_header, form)
            );
        }
    }

    #[test]
    fn a_private_key_proves_it_without_a_secret() {
        let key = AssertionKey::derived(&Secret::new(vec![4; 32])).named(Some("ours".to_owned()));
        let (header, form) = proof(ClientAuth::PrivateKey(key), true);
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
        let header = basic("a:b", "p+%\u{e9} x");
        let decoded = STANDARD
            .decode(header.strip_prefix("Basic ").unwrap())
            .unwrap();
        assert_eq!(decoded, b"a%3Ab:p%2B%25%C3%A9+x");
    }
}
