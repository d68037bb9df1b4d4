//! The words of the policy language, in lower case: what a reader knows, and what an editor may offer.

/// What a rule may hold.
pub const ACTIONS: [&str; 2] = ["allow", "deny"];

/// What an action may hold, each with a list of criteria. `action` may stand there too and means nothing.
pub const OPERATORS: [&str; 4] = ["and", "or", "not", "nor"];

/// Every criterion that can be judged.
pub const CRITERIA: [&str; 18] = [
    "accept",
    "authenticated_user",
    "claim",
    "client_certificate",
    "cors_preflight",
    "date",
    "day_of_week",
    "domain",
    "email",
    "groups",
    "http_method",
    "http_path",
    "invalid_client_certificate",
    "pomerium_routes",
    "reject",
    "source_ip",
    "time_of_day",
    "user",
];

/// Criteria that Pomerium has, and why they cannot be judged here. A false one in a `deny` rule would open a door, so each
/// is an error when the file is read.
pub const IMPOSSIBLE: [(&str, &str); 9] = [
    ("device", "devices are not enrolled here"),
    ("mcp_tool", "the bodies of requests are not read here"),
    ("record", "there is no external data here"),
    ("ssh_ca", "only web applications are served here"),
    ("ssh_publickey", "only web applications are served here"),
    (
        "ssh_reverse_tunnel",
        "only web applications are served here",
    ),
    ("ssh_username", "only web applications are served here"),
    (
        "ssh_username_matches_claim",
        "only web applications are served here",
    ),
    (
        "ssh_username_matches_email",
        "only web applications are served here",
    ),
];

/// Conditions on a text: `email`, `domain`, `user`, `http_method`, `http_path`, and names in certificates.
pub const TEXT_CONDITIONS: [&str; 7] = [
    "is",
    "not",
    "in",
    "not_in",
    "starts_with",
    "ends_with",
    "contains",
];

/// Conditions on a list: `claim/NAME` and `groups`.
pub const LIST_CONDITIONS: [&str; 3] = ["has", "is", "exclude"];

/// Conditions on a client's certificate.
pub const CERTIFICATE_CONDITIONS: [&str; 5] = [
    "fingerprint",
    "spki_hash",
    "san_dns",
    "san_email",
    "san_uri",
];
