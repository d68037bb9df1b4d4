//! Where a route's requests end: at upstreams, in a redirect, or in a fixed answer.

use url::Url;

use super::super::findings::Findings;
use super::super::object::Object;
use super::super::{Origin, Pem};

/// What becomes of a permitted request.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// It goes to one of these (`to`).
    Upstreams(Upstreams),
    /// The visitor is sent elsewhere (`redirect`); the module answers.
    Redirect(Redirect),
    /// The visitor gets this (`response`); the module answers.
    Response(FixedResponse),
}

/// The upstreams of a route; requests are spread over them by weight.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Upstreams {
    /// Never empty; all with the same scheme.
    pub endpoints: Vec<Endpoint>,
    /// How TLS to them is spoken, where their scheme is `https`.
    pub tls: UpstreamTls,
}

/// One upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port.
    pub origin: Origin,
    /// Its share of the requests, in proportion to the weights of the others; at least 1.
    pub weight: u32,
}

/// TLS towards upstreams (`tls_*`).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UpstreamTls {
    /// Whether the upstream's certificate is not checked (`tls_skip_verify`).
    pub skip_verify: bool,
    /// Name that is sent (SNI) and expected in the certificate, instead of the upstream's host
    /// (`tls_upstream_server_name`, else `tls_server_name`).
    pub server_name: Option<String>,
    /// The only authorities that may sign the upstream's certificate (`tls_custom_ca`, `tls_custom_ca_file`).
    pub authorities: Option<Pem>,
    /// The certificate chain that is shown to the upstream, and its key (`tls_client_cert`, `tls_client_key`).
    pub client: Option<(Pem, Pem)>,
}

/// `redirect`: the new address is that of the request with these parts replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// `https` or another scheme (`https_redirect`, else `scheme_redirect`).
    pub scheme: Option<String>,
    /// Host (`host_redirect`).
    pub host: Option<String>,
    /// Port (`port_redirect`).
    pub port: Option<u16>,
    /// The path.
    pub path: RedirectPath,
    /// 301, 302, 303, 307 or 308 (`response_code`).
    pub status: u16,
    /// Whether the query is dropped (`strip_query`).
    pub strip_query: bool,
}

/// The path of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectPath {
    /// As it is.
    Keep,
    /// This instead (`path_redirect`); a query in it replaces that of the request.
    Replace(String),
    /// The matched prefix replaced by this (`prefix_rewrite`).
    Prefix(String),
}

/// `response`: a fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// HTTP status, 200 to 599.
    pub status: u16,
    /// The body, plain text.
    pub body: String,
}

impl Target {
    pub(super) fn read(object: &Object<'_>, findings: &mut Findings) -> Option<Self> {
        Upstreams::read(object, findings).map(Self::Upstreams)
    }

    /// The upstreams, if requests go to any.
    #[must_use]
    pub const fn upstreams(&self) -> Option<&Upstreams> {
        match self {
            Self::Upstreams(upstreams) => Some(upstreams),
            Self::Redirect(_) | Self::Response(_) => None,
        }
    }
}

impl Upstreams {
    fn read(object: &Object<'_>, findings: &mut Findings) -> Option<Self> {
        let place = object.place_of("to");
        let text = match object.texts("to", findings) {
            Some(addresses) if addresses.len() == 1 => addresses.into_iter().next(),
            Some(_) => {
                findings
                    .problem(
                        &place,
                        "several upstreams in `to` are not supported by this version",
                    )
                    .help("name one");
                return None;
            }
            None => None,
        };
        let Some(text) = text else {
            findings
                .problem(&place, "`to` is missing")
                .help("write for example `to: http://localhost:9090`");
            return None;
        };
        let parsed = Url::parse(&text)
            .ok()
            .and_then(|url| Origin::of(&url).map(|origin| (url, origin)));
        let Some((url, origin)) = parsed else {
            findings
                .problem(&place, format!("`{text}` is not an address of an upstream"))
                .help("write for example `http://localhost:9090` or `https://10.0.0.5`");
            return None;
        };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            findings
                .problem(&place, "a path in `to` is not supported by this version")
                .help(format!("write `{origin}`"));
            return None;
        }
        Some(Self {
            endpoints: vec![Endpoint { origin, weight: 1 }],
            tls: UpstreamTls {
                skip_verify: object.flag("tls_skip_verify", findings),
                authorities: object.text("tls_custom_ca_file", findings).map(Pem::File),
                ..UpstreamTls::default()
            },
        })
    }
}
