//! Errors of valid Jetway configurations that cannot become an Envoy bootstrap.

/// A setting that the bundled host supports and Envoy does not, or that is not safe in Envoy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Envoy binds only to IP addresses; it does not resolve names for a listener.
    #[error(
        "`{0}` is not a valid listening address for Envoy (help: write an IP address and a port, such as `0.0.0.0:443`, or `:443`)"
    )]
    ListenAddress(String),
    /// TLS is enabled without a certificate.
    #[error(
        "missing certificate (help: set `certificate_file` and `certificate_key_file`, or `insecure_server: true` behind a proxy that terminates TLS)"
    )]
    NoCertificate,
    /// A certificate's private key is inline in the Jetway file.
    #[error(
        "the private key of a server certificate must not be in Envoy's file (help: write it to a file that only Envoy can read, and set that as `certificate_key_file`, or as `key` in `certificates`)"
    )]
    InlineServerKey,
    /// The private key of a route's client certificate is inline in the Jetway file.
    #[error(
        "the private key in `tls_client_key` of route `{0}` must not be in Envoy's file (help: write it to a file that only Envoy can read, and set that as `tls_client_key_file`)"
    )]
    InlineClientKey(String),
    /// A string without the expected certificates or revocation lists.
    #[error(
        "{place} has no PEM block `-----BEGIN {label}-----` (help: write the output of `base64 -w0 FILE.pem`, or name the file)"
    )]
    EmptyPem {
        /// The key of the Jetway file.
        place: String,
        /// The label of RFC 7468.
        label: &'static str,
    },
    /// The admin port shows the configuration and can stop Envoy; it has no authentication.
    #[error(
        "the admin address `{0}` is not on loopback (help: use `127.0.0.1:9901` and reach it through SSH)"
    )]
    AdminAddress(std::net::SocketAddr),
    /// The operator's file is a list or a scalar.
    #[error("the configuration is not a map of keys")]
    NotAMap,
}
