//! Every way in which a visitor is told no, in one closed list.

pub mod repeats;

/// Why a request is not forwarded. One table each maps it to a status, a title and a word for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request has no single meaning.
    BadRequest(BadRequest),
    /// More cookies and headers than are forwarded, see [`crate::http::head_size`].
    HeadTooLarge,
    /// `TRACE`, `CONNECT`, or a method that one of our own endpoints does not have.
    MethodNotAllowed,
    /// No route has this host and path, or no endpoint of ours has this name.
    NotFound,
    /// Routes have this host, but by other ports (RFC 9110 section 15.5.20).
    Misdirected,
    /// Nobody is signed in, and a redirect would not help this client.
    Unauthenticated,
    /// A program brought a token that does not hold (RFC 6750 section 3.1).
    BearerToken,
    /// Too many tokens that do not hold came from the client's address.
    TooManyTokens,
    /// The policy says no.
    Forbidden,
    /// The policy asks for a client certificate, and there is no valid one. Status 495, as nginx and Pomerium have it.
    ClientCertificate,
    /// The route does not pass websockets on (`allow_websockets`), or the upgrade is to something else.
    UpgradeNotAllowed,
    /// A websocket of another version than the protocol's only one.
    WebsocketVersion,
    /// A websocket opened, or a form sent, by a page of another origin.
    ForeignOrigin,
    /// Somebody whom the policy lets in has no Unix user (`cockpit`).
    NoUnixUser,
    /// Another host through Cockpit, which the route does not allow (`allow_other_hosts`).
    OtherHost,
    /// A sign-in ended without an identity.
    SignIn(SignInProblem),
    /// The provider's addresses and keys are not known, so nobody can sign in now.
    ProviderUnavailable,
    /// Something that must not fail did, such as the random source.
    Internal,
}

/// What makes a request unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// No host, two hosts, or not a host.
    Host,
    /// A question about a program that is over, was answered, or belongs to another session.
    Handover,
    /// Not a method.
    Method,
    /// Two `Origin` headers.
    Origin,
    /// A path that servers read in different ways.
    Path,
    /// The method `QUERY` without `Content-Type`.
    QueryType,
    /// An address to come back to that is missing or not on this site.
    RedirectUri,
    /// A path that the route's rewriting turns into none that an upstream could be sent.
    Rewrite,
    /// Two `Upgrade` headers.
    Upgrade,
    /// A websocket's key that is none.
    WebsocketKey,
    /// A websocket's handshake with a body.
    WebsocketBody,
}

impl BadRequest {
    /// What is wrong, for whoever looks into it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Host => "`Host` is not one plain host, or it ends with a dot",
            Self::Handover => {
                "the question about the program is over, was answered, or belongs to another session"
            }
            Self::Method => "this is not a method",
            Self::Origin => "there are two `Origin` headers",
            Self::Path => "servers read this path in different ways",
            Self::QueryType => "a `QUERY` needs `Content-Type`",
            Self::RedirectUri => "the address to come back to is missing, or not on this site",
            Self::Rewrite => "the route makes a path of it that no upstream could be sent",
            Self::Upgrade => "there are two `Upgrade` headers",
            Self::WebsocketKey => "`Sec-WebSocket-Key` is not 16 bytes in base64",
            Self::WebsocketBody => "the handshake of a WebSocket has no body",
        }
    }
}

/// How a sign-in can end without an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInProblem {
    /// The callback does not belong to an attempt that this browser began, or the attempt is over.
    UnknownAttempt,
    /// The callback's parameters contradict each other.
    BadCallback,
    /// The callback names another issuer than the configured one (RFC 9207).
    WrongIssuer,
    /// The person or the provider declined (`access_denied` and the like).
    Declined,
    /// The provider does not accept the code: it was used, is too old, or is not for this client.
    CodeRefused,
    /// The provider's answer cannot be used: not the protocol, too long, or an error of its own.
    ProviderAnswer,
    /// The provider's access token is of another type than `Bearer` (OpenID Connect Core 1.0 section 3.1.3.3).
    TokenType,
    /// The browser has signed in several times within a minute, and comes back without a session each time.
    Circle,
    /// What has to be kept about the person does not fit into a browser's cookies.
    TooLarge,
    /// The ID token does not hold.
    Token(TokenProblem),
}

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenProblem {
    /// Not a signed JWT, or one with parts that are not accepted.
    Malformed,
    /// No usable key of the provider has this name and algorithm.
    UnknownKey,
    /// It does not name its key, and the provider has more keys that may be meant than are tried.
    TooManyKeys,
    /// The signature does not fit.
    Signature,
    /// Another issuer.
    Issuer,
    /// Another audience or authorized party.
    Audience,
    /// Over, or without an end.
    Expired,
    /// From the future, too old, or without a date.
    IssuedAt,
    /// Not for this attempt.
    Nonce,
    /// No `sub`, or not a text of 1 to 255 characters.
    Subject,
    /// `at_hash` does not fit the access token.
    AccessToken,
    /// The user's tenant is not one that may sign in (`idp_allowed_tenants`).
    Tenant,
}

impl Refusal {
    /// HTTP status.
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
            Self::ClientCertificate => 495,
            Self::ProviderUnavailable => 503,
            Self::Internal => 500,
        }
    }

    /// One word for logs, metrics and JSON answers.
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
            Self::ForeignOrigin => "foreign-origin",
            Self::NoUnixUser => "no-unix-user",
            Self::OtherHost => "other-host",
            Self::SignIn(problem) => problem.word(),
            Self::ProviderUnavailable => "provider-unavailable",
            Self::Internal => "internal",
        }
    }

    /// Title of the page.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "This request cannot be understood",
            Self::HeadTooLarge => "Your browser sends too much with this request",
            Self::MethodNotAllowed => "This method is not allowed here",
            Self::NotFound => "There is nothing at this address",
            Self::Misdirected => "There is nothing at this port",
            Self::Unauthenticated => "Please sign in",
            Self::BearerToken => "This token is not good here",
            Self::TooManyTokens => "Too many invalid tokens",
            Self::ClientCertificate => "A client certificate is needed",
            Self::Forbidden => "You do not have access",
            Self::UpgradeNotAllowed => "This connection is not allowed here",
            Self::WebsocketVersion => "This websocket is too old",
            Self::ForeignOrigin => "This came from another site",
            Self::NoUnixUser => "You have no Unix user on this server",
            Self::OtherHost => "Other hosts are not reached through this one",
            Self::SignIn(_) => "Signing in did not work",
            Self::ProviderUnavailable => "Signing in is not possible right now",
            Self::Internal => "Something went wrong",
        }
    }

    /// One sentence for the visitor.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "The address or a header of the request has no clear meaning.",
            Self::HeadTooLarge => {
                "The cookies and headers of the request are larger than this site accepts."
            }
            Self::MethodNotAllowed => "The address exists, but not for this kind of request.",
            Self::NotFound => "Check the address, or ask whoever gave it to you.",
            Self::Misdirected => {
                "No application is served under this host with this port. Check the address."
            }
            Self::BearerToken => {
                "The token in the `Authorization` header is over, or for somebody else."
            }
            Self::TooManyTokens => {
                "Too many tokens that do not hold came from your address. Try again in a moment."
            }
            Self::Unauthenticated => "You are not signed in, or your session is over.",
            Self::ClientCertificate => {
                "Your browser has shown no certificate, or one that is not valid here."
            }
            Self::Forbidden => {
                "You are signed in, but the policy of this application does not let this account in."
            }
            Self::UpgradeNotAllowed => {
                "The operator has not allowed websockets for this application."
            }
            Self::WebsocketVersion => "Only version 13 of the websocket protocol is spoken here.",
            Self::ForeignOrigin => {
                "A page of another site tried to act here in your name. Nothing was done."
            }
            Self::NoUnixUser => {
                "You are signed in and may use this application, but no Unix user is assigned to this account. Ask the operator."
            }
            Self::OtherHost => {
                "The operator has not allowed Cockpit to connect to other hosts from here."
            }
            Self::SignIn(problem) => problem.explanation(),
            Self::ProviderUnavailable => {
                "The identity provider does not answer. Try again in a moment; whoever is signed in stays signed in."
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
                "This sign-in was not begun in this browser, took too long, or is already done. Cookies must be allowed."
            }
            Self::BadCallback => "The identity provider's answer contradicts itself.",
            Self::WrongIssuer => {
                "The answer comes from another identity provider than the one that was asked."
            }
            Self::Declined => {
                "The identity provider did not confirm who you are, or you cancelled."
            }
            Self::CodeRefused => {
                "The identity provider does not accept this sign-in any more. Begin again."
            }
            Self::ProviderAnswer | Self::TokenType => {
                "The identity provider's answer cannot be used."
            }
            Self::Circle => {
                "You have signed in several times within a minute, and are not signed in: going on would only repeat it."
            }
            Self::TooLarge => {
                "What the identity provider says about you, and the policies here ask for, does not fit into a browser's cookies. The operator has to name fewer groups or claims."
            }
            Self::Token(TokenProblem::Tenant) => {
                "Your account belongs to an organization whose users may not sign in here."
            }
            Self::Token(_) => "What the identity provider said about you could not be verified.",
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
