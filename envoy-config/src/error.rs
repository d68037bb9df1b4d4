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
    /// The admin port shows the configuration and can stop Envoy; it knows no users.
    #[error(
        "the admin address `{0}` is not on loopback (help: use `127.0.0.1:9901` and reach it through SSH)"
    )]
    AdminAddress(std::net::SocketAddr),
    /// The operator's file is a list or a single value.
    #[error("the configuration is not a map of keys")]
    NotAMap,
}
