//! The requests of which instructions are counted.

use serde_json::{Value, json};

use crate::provider::{CLIENT, ISSUER};

/// The host of the application.
pub const HOST: &str = "app.test";

/// The headers of a request, as proxy-wasm provides them.
pub type Headers = Vec<(String, Vec<u8>)>;

/// One kind of request.
pub struct Shape {
    /// Its name in `counts.tsv`.
    pub name: &'static str,
    /// How many cookies of 200 bytes the application has set.
    cookies: usize,
    /// How many headers the request has.
    headers: usize,
    /// Whether the upstream gets the user's identity.
    has_identity: bool,
}

impl Shape {
    /// All shapes. The last one has what a route of an application usually adds.
    pub const ALL: [Self; 4] = [
        Self::new("no-other-cookies", 0, 12, false),
        Self::new("4-kb-of-cookies", 20, 12, false),
        Self::new("40-headers", 0, 40, false),
        Self::new("identity", 4, 20, true),
    ];

    const fn new(name: &'static str, cookies: usize, headers: usize, has_identity: bool) -> Self {
        Self {
            name,
            cookies,
            headers,
            has_identity,
        }
    }

    /// Returns the shape of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name == name)
    }

    /// Returns the configuration, with one route.
    #[must_use]
    pub fn file(&self) -> Value {
        json!({
            "address": ":443",
            "idp_provider": "oidc",
            "idp_provider_url": ISSUER,
            "idp_client_id": CLIENT,
            "idp_client_secret": "the-client-secret",
            "cookie_secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "routes": [self.route()],
        })
    }

    /// Returns the route to the application.
    fn route(&self) -> Value {
        let mut route = json!({
            "from": format!("https://{HOST}"),
            "to": "http://127.0.0.1:8080",
            "policy": {"allow": {"or": [{"email": "alice@example.com"}, {"email": "bob@example.com"}]}},
        });
        if self.has_identity {
            route["pass_identity_headers"] = json!(true);
        }
        route
    }

    /// Returns the request of a browser with these cookies of the proxy, as the host passes it to the module.
    pub fn headers(&self, own: &str) -> Headers {
        let others = (0..self.cookies).map(|number| {
            let name = format!("_pk_id.{number}.1fff");
            let value = "0123456789abcdef".repeat(13);
            let cut = 200 - name.len() - "=; ".len();
            format!("{name}={}; ", value.get(..cut).unwrap_or_default())
        });
        let cookies = others.collect::<String>() + own;
        let first = BROWSER.iter().map(|(name, value)| (*name, *value));
        let cookie = std::iter::once(("cookie", cookies.as_str()));
        let mut headers: Headers = first.chain(cookie).map(owned).collect();
        let more = FURTHER.iter().cycle().zip(0..);
        let missing = self.headers.saturating_sub(headers.len());
        for ((name, value), number) in more.take(missing) {
            // The second time around, a header has a name of its own.
            let round = number / FURTHER.len();
            let name = if round == 0 {
                (*name).to_owned()
            } else {
                format!("{name}-{round}")
            };
            headers.push((name, value.as_bytes().to_vec()));
        }
        headers
    }
}

fn owned((name, value): (&str, &str)) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

/// The fields of every request of a browser, and those that the host adds.
const BROWSER: [(&str, &str); 11] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", HOST),
    (":path", "/dashboard/overview?from=now-1h&to=now"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    ("accept", "*/*"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
    ("x-request-id", "7b0d3c0e-3b0f-4f6e-9d0c-5a0a3f1f2c11"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-proto", "https"),
];

/// Further fields that browsers, scripts and proxies in front send.
const FURTHER: [(&str, &str); 14] = [
    ("referer", "https://app.test/dashboard/"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("sec-ch-ua-mobile", "?0"),
    ("priority", "u=4"),
    ("te", "trailers"),
    ("cache-control", "no-cache"),
    ("if-none-match", "W/\"5e-18c3a2b7f40\""),
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    ("x-grafana-org-id", "1"),
    ("x-csrf-token", "f1d2d2f924e986ac86fdf7b36c94bcdf32beec15"),
    ("dnt", "1"),
];
