//! Every reason to refuse a request, in one closed list.

pub mod repeats;

/// The reason why a request is not forwarded. One table each maps it to a status, a page and a word for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request has no single meaning.
    BadRequest(BadRequest),
    /// The request has more cookies and headers than are forwarded, see [`crate::http::head_size`].
    HeadTooLarge,
    /// The method is `TRACE` or `CONNECT`, or one that an endpoint of the proxy does not accept.
    MethodNotAllowed,
    /// No route has this host and path, or no endpoint of the proxy has this name.
    NotFound,
    /// Routes have this host, but with other ports (RFC 9110 section 15.5.20).
    Misdirected,
    /// The client is not signed in, and a redirect would not help it.
    Unauthenticated,
    /// An API client sent an invalid token (RFC 6750 section 3.1).
    BearerToken,
    /// Too many invalid tokens came from the client's address.
    TooManyTokens,
    /// The policy denies the request.
    Forbidden,
    /// The policy requires a client certificate, and there is no valid one. The status is 495, as in nginx and Pomerium.
    ClientCertificate,
    /// The route does not forward WebSockets (`allow_websockets`), or the upgrade is to another protocol.
    UpgradeNotAllowed,
    /// The WebSocket handshake has another version than 13.
    WebsocketVersion,
    /// `Expect` states something other than `100-continue` (RFC 9110 section 15.5.18). Servers disagree about such values, and
    /// some take them for `100-continue`.
    Expectation,
    /// A page of another origin opened a WebSocket or sent a form.
    ForeignOrigin,
    /// The policy allows the user, who has no Unix user (`cockpit`).
    NoUnixUser,
    /// The request is for another host through Cockpit, which the route does not allow (`allow_other_hosts`).
    OtherHost,
    /// A sign-in ended without an identity.
    SignIn(SignInProblem),
    /// The provider's metadata or keys are not known, so that sign-ins are impossible now.
    ProviderUnavailable,
    /// Something failed that must not fail, such as the random source.
    Internal,
}

/// The reason why a request has no single meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// There is no host, or two hosts, or the host is malformed.
    Host,
    /// The confirmation of a programmatic login has expired, was used, or belongs to another session.
    Handover,
    /// The method is malformed.
    Method,
    /// There are two `Origin` headers.
    Origin,
    /// Servers read the path in different ways.
    Path,
    /// A `QUERY` has no `Content-Type`.
    QueryType,
    /// The return address is missing or not on this site.
    RedirectUri,
    /// The route rewrites the path into one that cannot be sent to an upstream.
    Rewrite,
    /// There are two `Upgrade` headers.
    Upgrade,
    /// The key of a WebSocket handshake is malformed.
    WebsocketKey,
    /// A WebSocket handshake has a body.
    WebsocketBody,
}

impl BadRequest {
    /// Returns what is wrong, in words for the operator.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Host => "`Host` is not one plain host, or it ends with a dot",
            Self::Handover => {
                "the confirmation of the programmatic login has expired, was used, or belongs to another session"
            }
            Self::Method => "the method is malformed",
            Self::Origin => "there are two `Origin` headers",
            Self::Path => "servers read this path in different ways",
            Self::QueryType => "a `QUERY` needs `Content-Type`",
            Self::RedirectUri => "the return address is missing or not on this site",
            Self::Rewrite => {
                "the route rewrites the path into one that cannot be sent to an upstream"
            }
            Self::Upgrade => "there are two `Upgrade` headers",
            Self::WebsocketKey => "`Sec-WebSocket-Key` is not 16 bytes in base64",
            Self::WebsocketBody => "a WebSocket handshake must not have a body",
        }
    }
}

/// The reason why a sign-in ended without an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInProblem {
    /// The callback does not belong to an attempt that this browser began, or the attempt has expired.
    UnknownAttempt,
    /// The parameters of the callback contradict each other.
    BadCallback,
    /// The callback states another issuer than the configured one (RFC 9207).
    WrongIssuer,
    /// The user or the provider declined (`access_denied` and similar errors).
    Declined,
    /// The provider reports another error, such as `invalid_scope`: something is wrong there or in the configuration.
    ProviderError,
    /// The provider does not accept the code: it was used, has expired, or was issued for another client.
    CodeRefused,
    /// The provider's response cannot be used: it violates the protocol, is too long, or is an error.
    ProviderAnswer,
    /// The provider's access token is of another type than `Bearer` (OpenID Connect Core 1.0 section 3.1.3.3).
    TokenType,
    /// The browser has signed in several times within a minute and has returned without a session each time.
    Circle,
    /// The user's session does not fit into the cookies of a browser.
    TooLarge,
    /// The ID token is invalid.
    Token(TokenProblem),
}

/// The reason why an ID token is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenProblem {
    /// The token is not a signed JWT, or has parts that are not accepted.
    Malformed,
    /// No usable key of the provider has this name and algorithm.
    UnknownKey,
    /// The token does not name its key, and the provider has more matching keys than are tried.
    TooManyKeys,
    /// The signature is invalid.
    Signature,
    /// The token states another issuer.
    Issuer,
    /// The token states another audience or authorized party.
    Audience,
    /// The token has expired, or states no expiry.
    Expired,
    /// The token was issued in the future or too long ago, or does not state when.
    IssuedAt,
    /// The token belongs to another attempt.
    Nonce,
    /// The token has no `sub`, or one that is not a string of 1 to 255 characters.
    Subject,
    /// `at_hash` does not match the access token.
    AccessToken,
    /// The user's tenant is not allowed (`idp_allowed_tenants`).
    Tenant,
}

impl Refusal {
    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::HeadTooLarge => 431,
            Self::MethodNotAllowed => 405,
            Self::NotFound => 404,
            Self::Unauthenticated | Self::BearerToken => 401,
            Self::TooManyTokens => 429,
            Self::Forbidden
            | Self::UpgradeNotAllowed
            | Self::ForeignOrigin
            | Self::NoUnixUser
            | Self::OtherHost => 403,
            Self::SignIn(SignInProblem::Declined | SignInProblem::Token(TokenProblem::Tenant)) => {
                403
            }
            Self::SignIn(SignInProblem::ProviderAnswer | SignInProblem::TokenType) => 502,
            Self::Misdirected => 421,
            Self::SignIn(_) => 400,
            Self::WebsocketVersion => 426,
            Self::Expectation => 417,
            Self::ClientCertificate => 495,
            Self::ProviderUnavailable => 503,
            Self::Internal => 500,
        }
    }

    /// Returns the word for logs, metrics and JSON replies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadRequest(BadRequest::Host) => "bad-host",
            Self::BadRequest(BadRequest::Handover) => "bad-handover",
            Self::BadRequest(BadRequest::Method) => "bad-method",
            Self::BadRequest(BadRequest::Origin) => "bad-origin",
            Self::BadRequest(BadRequest::Path) => "bad-path",
            Self::BadRequest(BadRequest::QueryType) => "bad-query-type",
            Self::BadRequest(BadRequest::RedirectUri) => "bad-redirect-uri",
            Self::BadRequest(BadRequest::Rewrite) => "bad-rewrite",
            Self::BadRequest(BadRequest::Upgrade) => "bad-upgrade",
            Self::BadRequest(BadRequest::WebsocketKey) => "bad-websocket-key",
            Self::BadRequest(BadRequest::WebsocketBody) => "bad-websocket-body",
            Self::HeadTooLarge => "head-too-large",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NotFound => "route-not-found",
            Self::Misdirected => "misdirected",
            Self::Unauthenticated => "unauthenticated",
            Self::BearerToken => "invalid-token",
            Self::TooManyTokens => "too-many-invalid-tokens",
            Self::ClientCertificate => "client-certificate",
            Self::Forbidden => "forbidden",
            Self::UpgradeNotAllowed => "upgrade-not-allowed",
            Self::WebsocketVersion => "websocket-version",
            Self::Expectation => "expectation",
            Self::ForeignOrigin => "foreign-origin",
            Self::NoUnixUser => "no-unix-user",
            Self::OtherHost => "other-host",
            Self::SignIn(problem) => problem.word(),
            Self::ProviderUnavailable => "provider-unavailable",
            Self::Internal => "internal",
        }
    }

    /// Returns the title of the page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "Bad request",
            Self::HeadTooLarge => "The request is too large",
            Self::MethodNotAllowed => "Method not allowed",
            Self::NotFound => "Page not found",
            Self::Misdirected => "Wrong port",
            Self::Unauthenticated => "Please sign in",
            Self::BearerToken => "Invalid token",
            Self::TooManyTokens => "Too many invalid tokens",
            Self::ClientCertificate => "A client certificate is required",
            Self::Forbidden => "You do not have access",
            Self::UpgradeNotAllowed => "This connection is not allowed",
            Self::WebsocketVersion => "Unsupported WebSocket version",
            Self::Expectation => "Unsupported expectation",
            Self::ForeignOrigin => "The request came from another site",
            Self::NoUnixUser => "You have no Unix user on this server",
            Self::OtherHost => "Connecting to other hosts is not allowed",
            Self::SignIn(_) => "Sign-in failed",
            Self::ProviderUnavailable => "Sign-in is unavailable",
            Self::Internal => "Something went wrong",
        }
    }

    /// Returns the explanation for the user.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::BadRequest(_) => {
                "The address or a header of the request is malformed or ambiguous."
            }
            Self::HeadTooLarge => {
                "The cookies and headers of the request are larger than this site accepts."
            }
            Self::MethodNotAllowed => "This address does not accept this kind of request.",
            Self::NotFound => {
                "No application is served at this address. Check it, or ask the person who gave it to you."
            }
            Self::Misdirected => {
                "No application is served under this host with this port. Check the address."
            }
            Self::BearerToken => "The token has expired or was issued for another client.",
            Self::TooManyTokens => {
                "Too many invalid tokens came from your address. Try again in a moment."
            }
            Self::Unauthenticated => "You are not signed in, or your session has ended.",
            Self::ClientCertificate => {
                "Your browser presented no client certificate, or one that is not valid here."
            }
            Self::Forbidden => {
                "You are signed in, but the policy of this application does not allow this account. You can use another account, or ask the operator for access."
            }
            Self::UpgradeNotAllowed => {
                "The operator has not allowed WebSockets for this application."
            }
            Self::WebsocketVersion => "Only version 13 of the WebSocket protocol is supported.",
            Self::Expectation => {
                "The request expects something other than to be asked for its body."
            }
            Self::ForeignOrigin => {
                "A page of another site tried to act in your name. Nothing was done."
            }
            Self::NoUnixUser => {
                "You are signed in and may use this application, but no Unix user is assigned to this account. You can use another account, or ask the operator."
            }
            Self::OtherHost => {
                "The operator has not allowed Cockpit to connect to other hosts from here."
            }
            Self::SignIn(problem) => problem.explanation(),
            Self::ProviderUnavailable => {
                "The identity provider does not respond. Try again in a moment. Users who are signed in stay signed in."
            }
            Self::Internal => "Try again. If it happens again, tell the operator the request id.",
        }
    }
}

impl SignInProblem {
    const fn word(self) -> &'static str {
        match self {
            Self::UnknownAttempt => "sign-in-unknown-attempt",
            Self::BadCallback => "sign-in-bad-callback",
            Self::WrongIssuer => "sign-in-wrong-issuer",
            Self::Declined => "sign-in-declined",
            Self::ProviderError => "sign-in-provider-error",
            Self::CodeRefused => "sign-in-code-refused",
            Self::ProviderAnswer => "sign-in-provider-answer",
            Self::TokenType => "sign-in-token-type",
            Self::Circle => "sign-in-circle",
            Self::TooLarge => "sign-in-too-large",
            Self::Token(problem) => problem.word(),
        }
    }

    const fn explanation(self) -> &'static str {
        match self {
            Self::UnknownAttempt => {
                "This sign-in was not started in this browser, took too long, or is already complete. Cookies must be allowed."
            }
            Self::BadCallback => "The response of the identity provider contradicts itself.",
            Self::WrongIssuer => {
                "The response came from another identity provider than the expected one."
            }
            Self::Declined => {
                "The identity provider did not confirm your identity, or you cancelled the sign-in."
            }
            Self::ProviderError => {
                "The identity provider reported an error. If it happens again, tell the operator the request id."
            }
            Self::CodeRefused => {
                "The identity provider does not accept this sign-in any more. Start again."
            }
            Self::ProviderAnswer | Self::TokenType => {
                "The response of the identity provider cannot be used."
            }
            Self::Circle => {
                "You have signed in several times within a minute and are still not signed in. Trying again would only repeat that."
            }
            Self::TooLarge => {
                "The groups and claims that the policies need about you do not fit into the cookies of a browser. The operator has to name fewer of them."
            }
            Self::Token(TokenProblem::Tenant) => {
                "Your account belongs to an organization whose users are not allowed to sign in here."
            }
            Self::Token(_) => {
                "The statement of the identity provider about you could not be verified."
            }
        }
    }
}

impl TokenProblem {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "token-malformed",
            Self::UnknownKey => "token-unknown-key",
            Self::TooManyKeys => "token-too-many-keys",
            Self::Signature => "token-signature",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::Expired => "token-expired",
            Self::IssuedAt => "token-issued-at",
            Self::Nonce => "token-nonce",
            Self::Subject => "token-subject",
            Self::AccessToken => "token-access-token",
            Self::Tenant => "token-tenant",
        }
    }
}

impl From<TokenProblem> for SignInProblem {
    fn from(problem: TokenProblem) -> Self {
        Self::Token(problem)
    }
}
