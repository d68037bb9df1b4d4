//! Reads which email addresses are trusted (`require_email_verified`) and which tenants' users may sign in
//! (`idp_allowed_tenants`).

use serde_json::Value;
use url::Url;

use crate::config::file_map::FileMap;
use crate::config::provider_kind::{PRESETS, ProviderKind};
use crate::config::{EmailTrust, EmailVerification, Route};
use crate::diagnostics::{Findings, quoted};

/// The key for the tenants.
const TENANTS: &str = "idp_allowed_tenants";
/// The key for the required verification of an address.
const VERIFICATION: &str = "require_email_verified";

/// Names in place of a tenant in Microsoft's issuers, for the users of any tenant or of none.
const MICROSOFT_GROUPS: [&str; 3] = ["common", "organizations", "consumers"];
/// Microsoft's tenant of personal accounts, which anyone can create.
const MICROSOFT_CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// The hosts of Microsoft's issuers, in each of its clouds.
const MICROSOFT_HOSTS: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "sts.windows.net",
];

pub(super) fn read_email_trust(
    file: &FileMap<'_>,
    kind: ProviderKind,
    issuer: Option<&str>,
    findings: &mut Findings,
) -> EmailTrust {
    if let Some(issuer) = issuer.filter(|_| kind == ProviderKind::Oidc) {
        warn_of_known_issuer(file, issuer, findings);
    }
    EmailTrust {
        kind,
        verification: read_verification(file, findings),
        tenants: read_tenants(file, kind, findings),
        is_multi_tenant: kind == ProviderKind::Azure && issuer.is_some_and(is_multi_tenant),
    }
}

fn read_verification(file: &FileMap<'_>, findings: &mut Findings) -> EmailVerification {
    match file.value(VERIFICATION) {
        None => EmailVerification::ByProvider,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("strict") => {
            EmailVerification::Strict
        }
        // YAML 1.1 reads `off` as a boolean.
        Some(Value::String(word)) if word.eq_ignore_ascii_case("off") => EmailVerification::Off,
        Some(Value::Bool(false)) => EmailVerification::Off,
        Some(_) => {
            findings
                .problem(
                    &file.path_of(VERIFICATION),
                    "`require_email_verified` must be `strict` or `off`",
                )
                .help("remove it to use the default of the provider preset");
            EmailVerification::Strict
        }
    }
}

fn read_tenants(file: &FileMap<'_>, kind: ProviderKind, findings: &mut Findings) -> Vec<String> {
    let Some(tenants) = file.strings(TENANTS, findings) else {
        return Vec::new();
    };
    let key_path = file.path_of(TENANTS);
    let (fits, what): (fn(&str) -> bool, _) = match kind {
        ProviderKind::Azure => (
            is_tenant_id,
            "write the tenant's id, such as `72f988bf-86f1-41af-91ab-2d7cd011db47`",
        ),
        ProviderKind::Google => (
            is_domain,
            "write the domain of a Google Workspace, such as `example.com`",
        ),
        _ => {
            findings
                .problem(
                    &key_path,
                    "`idp_allowed_tenants` needs `idp_provider: azure` or `google`",
                )
                .help("remove it: the issuer of another provider belongs to one organization, or its tokens name no tenant");
            return Vec::new();
        }
    };
    if tenants.is_empty() {
        findings
            .problem(&key_path, "`idp_allowed_tenants` names no tenant")
            .help(what);
    }
    for (index, tenant) in tenants.iter().enumerate() {
        if !fits(tenant) {
            findings
                .problem(
                    &key_path.item(index),
                    format!("{} is not a tenant", quoted(tenant)),
                )
                .help(what);
        }
    }
    tenants
        .iter()
        .map(|tenant| tenant.to_ascii_lowercase())
        .collect()
}

/// Returns whether the string is a UUID, as in `tid`: tokens do not contain a tenant's domain names.
fn is_tenant_id(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq(GROUPS) && groups.iter().all(|group| is_hex(group))
}

fn is_domain(text: &str) -> bool {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    text.bytes().all(fit) && text.trim_matches('.').contains('.')
}

/// Returns whether users of any tenant can sign in at this issuer of Microsoft's.
fn is_multi_tenant(issuer: &str) -> bool {
    let url = Url::parse(issuer).ok();
    let tenant = url.as_ref().and_then(|url| url.path_segments()?.next());
    tenant.is_none_or(|tenant| {
        let mut any = MICROSOFT_GROUPS.iter().chain([&MICROSOFT_CONSUMERS]);
        tenant.is_empty() || any.any(|group| group.eq_ignore_ascii_case(tenant))
    })
}

/// Reports `oidc` at a provider with many tenants: `oidc` trusts an address unless the provider denies it, which such a
/// provider's statements do not justify.
fn warn_of_known_issuer(file: &FileMap<'_>, issuer: &str, findings: &mut Findings) {
    let bare = issuer.trim_end_matches('/');
    let is_known = |known: &str| known == bare;
    let preset = PRESETS
        .iter()
        .find(|preset| preset.issuer.is_some_and(is_known));
    let host = Url::parse(issuer).ok();
    let host = host.as_ref().and_then(Url::host_str);
    let is_microsoft = host.is_some_and(|host| MICROSOFT_HOSTS.contains(&host));
    let word = match preset {
        Some(preset) => preset.word,
        None if is_microsoft => "azure",
        None => return,
    };
    findings
        .warning(
            &file.path_of("idp_provider"),
            format!("the issuer belongs to `{word}`, and `oidc` cannot tell which of its email addresses are verified"),
        )
        .help(format!("write `idp_provider: {word}`"));
}

/// Warns about Microsoft's issuers for many tenants, where any tenant's administrator sets a user's address and claims.
pub(in crate::config::reader) fn check_tenants(
    file: &FileMap<'_>,
    trust: &EmailTrust,
    routes: &[Route],
    findings: &mut Findings,
) {
    if !trust.is_multi_tenant || !trust.tenants.is_empty() {
        return;
    }
    let is_sound = trust.verification == EmailVerification::Strict;
    if !is_sound && let Some(route) = routes.iter().find(|route| route.asks_for_email()) {
        findings
            .problem(
                &file.path_of("idp_provider_url"),
                format!(
                    "users of any tenant can sign in at this issuer with any email address, and the policy of route `{}` is about email addresses",
                    route.name
                ),
            )
            .help("list the tenants in `idp_allowed_tenants`, or write the issuer of one tenant; or let the app registration emit the optional claim `xms_edov`, and write `require_email_verified: strict`");
    }
    if let Some(route) = routes.iter().find(|route| route.asks_for_claims()) {
        findings
            .warning(
                &file.path_of("idp_provider_url"),
                format!(
                    "users of any tenant can sign in at this issuer, and the policy of route `{}` is about claims, which their administrators can set",
                    route.name
                ),
            )
            .help("list the tenants in `idp_allowed_tenants`");
    }
}
