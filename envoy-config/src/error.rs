//! Why a valid Jetway configuration cannot become an Envoy bootstrap.

/// A setting that the bundled host can use but Envoy cannot, or that would not be safe there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Envoy binds to IP addresses; it does not look names up for a listener.
    #[error(
        "`{0}` is not a listening address for Envoy (help: write an IP address and a port, such as `0.0.0.0:443`, or `:443`)"
    )]
    ListenAddress(String),
    /// TLS is wanted and there is no certificate to serve.
    #[error(
        "there is no certificate (help: set `certificate_file` and `certificate_key_file`, or `insecure_server: true` behind something that terminates TLS)"
    )]
    NoCertificate,
    /// A certificate's key is text in the Jetway file.
    #[error(
        "the private key of a server certificate would stand in Envoy's file (help: write it to a file that only Envoy can read, and name that one as `certificate_key_file`, or as `key` in `certificates`)"
    )]
    InlineServerKey,
    /// The key that a route shows to its upstreams is text in the Jetway file.
    #[error(
        "the private key in `tls_client_key` of route `{0}` would stand in Envoy's file (help: write it to a file that only Envoy can read, and name that one as `tls_client_key_file`)"
    )]
    InlineClientKey(String),
    /// A text that should hold certificates or revocation lists holds none.
    #[error(
        "{place} holds no PEM block `-----BEGIN {label}-----` (help: write what `base64 -w0 FILE.pem` prints, or the path of the file)"
    )]
    EmptyPem {
        /// The key of the Jetway file.
        place: String,
        /// The label of RFC 7468.
        label: &'static str,
    },
    /// The admin port shows the configuration and can stop Envoy; it knows no users.
    #[error(
        "the admin address `{0}` is not on loopback (help: use `127.0.0.1:9901` and reach it through SSH)"
    )]
    AdminAddress(std::net::SocketAddr),
    /// The operator's file is a list or a single value.
    #[error("the configuration is not a map of keys")]
    NotAMap,
}
