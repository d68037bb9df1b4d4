//! Request headers that a client may not send to an upstream.

use crate::contract::ROUTE_HEADER;

/// Request headers that are removed for one reason.
#[derive(Clone, Copy, Debug)]
pub struct ReservedGroup {
    /// Why an upstream must not get them from a client: a sentence without a final period.
    pub why: &'static str,
    /// Lower-case names; a name that ends with `*` means every name with that beginning.
    pub names: &'static [&'static str],
}

/// The headers that are removed from every client's request. They are statements that only proxies make about a request; headers
/// in which a client states something about itself are not in this list, so that applications still get them.
pub const RESERVED: &[ReservedGroup] = &[
    ReservedGroup {
        why: "Only this proxy, or another one in its place, may state them",
        names: &[
            ROUTE_HEADER,
            "x-pomerium-*",
            "x-forwarded-*",
            "x-forwarded",
            "forwarded",
            "forwarded-for",
        ],
    },
    ReservedGroup {
        why: "Authentication proxies state the user, the groups or tokens in them",
        names: &[
            // oauth2-proxy.
            "x-auth-request-*",
            // Keycloak Gatekeeper and Louketo. `X-Auth-Token` is a client's own.
            "x-auth-email",
            "x-auth-groups",
            "x-auth-roles",
            "x-auth-subject",
            "x-auth-userid",
            "x-auth-username",
            // Kubernetes, and applications that use the name of the CGI variable.
            "x-remote-*",
            // Authelia, and the names that CGI turns into `REMOTE_USER`.
            "remote-user",
            "remote-group",
            "remote-groups",
            "remote-email",
            "remote-name",
            // Grafana.
            "x-webauth-*",
            // authentik.
            "x-authentik-*",
            // Vouch Proxy.
            "x-vouch-*",
            // Kong and APISIX.
            "x-authenticated-*",
            "x-consumer-*",
            "x-credential-*",
            "x-userinfo",
            // Google's Identity-Aware Proxy.
            "x-goog-authenticated-user-*",
            "x-goog-iap-*",
            // Azure App Service.
            "x-ms-client-principal*",
            "x-ms-token-*",
            // AWS load balancers.
            "x-amzn-oidc-*",
            // Cloudflare Access; its assertion is signed.
            "cf-access-authenticated-user-email",
            // Tailscale Serve.
            "tailscale-user-*",
            // SiteMinder, Oracle Access Manager, IBM WebSEAL.
            "sm-user",
            "smuser",
            "oam-remote-user",
            "iv-user",
            "iv-groups",
            "iv-creds",
        ],
    },
    ReservedGroup {
        why: "TLS terminators state the client's certificate in them",
        names: &[
            // RFC 9440.
            "client-cert",
            "client-cert-chain",
            "x-client-cert*",
            "x-client-verify",
            "x-client-dn",
            "x-ssl-*",
            "ssl-client-*",
            "x-arr-clientcert",
            // AWS load balancers.
            "x-amzn-mtls-*",
            // Cloudflare.
            "cf-client-cert-*",
        ],
    },
    ReservedGroup {
        why: "Proxies state the client's address in them; this proxy states it in `X-Forwarded-For`",
        names: &[
            "x-real-ip",
            "x-client-ip",
            "client-ip",
            "x-cluster-client-ip",
            "true-client-ip",
            "x-true-client-ip",
            "cf-connecting-ip",
            "cf-connecting-ipv6",
            "cf-pseudo-ipv4",
            "fastly-client-ip",
            "fly-client-ip",
            "do-connecting-ip",
            "ali-cdn-real-ip",
            "x-appengine-user-ip",
            "x-azure-clientip",
            "x-azure-socketip",
            "x-nf-client-connection-ip",
            "x-vercel-forwarded-for",
            "x-originating-ip",
            "x-custom-ip-authorization",
            "x-proxyuser-ip",
            "proxy-client-ip",
            "wl-proxy-client-ip",
        ],
    },
    ReservedGroup {
        why: "An upstream that trusts them serves another method, path, host or scheme than the authorized one",
        names: &[
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "x-original-*",
            "x-envoy-original-path",
            "x-envoy-original-host",
            "x-rewrite-url",
            "x-override-url",
            "x-http-host-override",
            "x-host",
            "x-script-name",
            "x-scheme",
            "x-url-scheme",
            "front-end-https",
        ],
    },
    ReservedGroup {
        why: "CGI turns it into the variable `HTTP_PROXY`, from which programs take their proxy (CVE-2016-5385)",
        names: &["proxy"],
    },
];

/// The reserved headers that the proxy writes before the module sees the request, in this spelling only.
pub(crate) const WRITTEN_BY_PROXY: [&str; 2] = ["x-forwarded-for", "x-forwarded-proto"];

/// The names of headers that are removed from every request of a client, because only a proxy may write them.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// The names by their slots, so that most headers are compared with none or one of them.
    slots: Vec<Vec<ReservedName>>,
}

/// How many slots there are.
const SLOTS: usize = 256;
/// The bytes at the beginning of a name that choose its slot. Many reserved names begin with `x-`, and then with a letter by which
/// they differ.
const FIRST: usize = 0;
const SECOND: usize = 2;

#[derive(Clone, Debug)]
struct ReservedName {
    /// The name, folded.
    name: String,
    /// Whether it means every name with this beginning.
    is_prefix: bool,
}

impl Reserved {
    /// Reserves the names in [`RESERVED`] and the configured ones: those of `jwt_claims_headers`, which an application trusts, and
    /// those that the configuration adds. A `*` at the end means every name with that beginning.
    pub(crate) fn new<'n>(configured: impl Iterator<Item = &'n str>) -> Self {
        let always = RESERVED.iter().flat_map(|group| group.names).copied();
        let mut slots: Vec<Vec<ReservedName>> =
            std::iter::repeat_with(Vec::new).take(SLOTS).collect();
        for name in always.chain(configured.filter(|name| !name.starts_with(':'))) {
            let reserved = ReservedName::of(name);
            if reserved.is_prefix && reserved.name.len() <= SECOND {
                // Names with this beginning are in any slot.
                slots
                    .iter_mut()
                    .for_each(|slot| slot.push(reserved.clone()));
            } else if let Some(slot) = slots.get_mut(slot_of(&reserved.name)) {
                slot.push(reserved);
            }
        }
        Self { slots }
    }

    /// Returns whether a header of this name is removed. `_` and `.` count as `-`, because many servers treat them alike.
    pub(crate) fn covers(&self, name: &str) -> bool {
        let slot = self.slots.get(slot_of(name));
        slot.is_some_and(|slot| {
            slot.iter().any(|reserved| reserved.covers(name)) && !WRITTEN_BY_PROXY.contains(&name)
        })
    }
}

/// Returns the slot of a name. A name that is too short for the second byte has that of a zero byte.
fn slot_of(name: &str) -> usize {
    let byte = |place| name.as_bytes().get(place).copied().map_or(0, fold);
    usize::from(byte(FIRST).rotate_left(4) ^ byte(SECOND))
}

impl ReservedName {
    fn of(name: &str) -> Self {
        let (beginning, is_prefix) = match name.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (name, false),
        };
        Self {
            name: beginning
                .bytes()
                .map(|byte| char::from(fold(byte)))
                .collect(),
            is_prefix,
        }
    }

    fn covers(&self, name: &str) -> bool {
        if self.is_prefix {
            has_alias_prefix(name, &self.name)
        } else {
            is_alias(name, &self.name)
        }
    }
}

/// Returns whether a name is this one; `_` and `.` count as `-`.
pub(crate) fn is_alias(name: &str, canonical: &str) -> bool {
    name.len() == canonical.len() && has_alias_prefix(name, canonical)
}

fn has_alias_prefix(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len()
        && name
            .bytes()
            .zip(prefix.bytes())
            .all(|(have, want)| fold(have) == want)
}

const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reserved() -> Reserved {
        Reserved::new(["remote_users", "X-Email", "x-tenant-*", ":path"].into_iter())
    }

    #[test]
    fn every_spelling_is_caught() {
        for name in [
            "x-pomerium-jwt-assertion",
            "X_Pomerium_Claim.Email",
            "x-jetway-route",
            "x.jetway_route",
            "X-Forwarded-Host",
            "x_forwarded_for",
            "x_http_method_override",
            "x-forwarded-client-cert",
            "x_forwarded_client_cert",
            "forwarded",
            "remote-users",
            "Remote_Users",
            "remote.users",
            "x_email",
            "x-tenant-",
            "X_Tenant.Id",
        ] {
            assert!(reserved().covers(name), "{name}");
        }
    }

    /// N-16: the names of the issue and their siblings.
    #[test]
    fn n_16_what_only_proxies_state_is_caught() {
        for name in [
            "X-Auth-Request-Groups",
            "X-Auth-Request-Preferred-Username",
            "X-Remote-User",
            "X-Remote-Groups",
            "X-Remote-Email",
            "X-HTTP-Method",
            "True-Client-IP",
            "CF-Connecting-IP",
            "X-Client-IP",
            "X-Cluster-Client-IP",
            "Fastly-Client-IP",
            "X_Remote_User",
            "x.remote.user",
            "Remote-User",
            "X-WEBAUTH-USER",
            "X-Original-URI",
            "Client-Cert",
            "X-SSL-Client-Verify",
            "Proxy",
            "X-Forwarded",
            "Forwarded-For",
            "X-Amzn-Mtls-Clientcert-Subject",
            "Cf-Client-Cert-Sha256",
            "X-Auth-Email",
            "X-Auth-Groups",
            "X-Auth-Roles",
            "X-Auth-Subject",
            "X-Auth-UserId",
            "X_Auth_Username",
        ] {
            assert!(Reserved::new(std::iter::empty()).covers(name), "{name}");
        }
    }

    /// A short beginning is that of names in every slot.
    #[test]
    fn short_beginnings_are_reserved() {
        let reserved = Reserved::new(["q-*", "Z*", "y", "w-"].into_iter());
        for name in [
            "q-", "q-a", "Q_user", "z", "zz", "Zebra", "y", "Y", "w-", "W_",
        ] {
            assert!(reserved.covers(name), "{name}");
        }
        for name in ["q", "qa", "yy", "y-", "w", "w-a", ""] {
            assert!(!reserved.covers(name), "{name}");
        }
    }

    proptest! {
        /// The slots leave out no name that is compared with all of them.
        #[test]
        fn no_slot_hides_a_name(
            configured in proptest::collection::vec("[a-cX_.-]{1,4}\\*?", 0..6),
            name in "[a-cX_.-]{0,5}|x-(forwarded|auth|ms)-[a-z]{0,3}",
        ) {
            let reserved = Reserved::new(configured.iter().map(String::as_str));
            let always = RESERVED.iter().flat_map(|group| group.names).copied();
            let mut all = always.chain(configured.iter().map(String::as_str));
            let is_covered = all.any(|one| ReservedName::of(one).covers(&name))
                && !WRITTEN_BY_PROXY.contains(&name.as_str());
            prop_assert_eq!(reserved.covers(&name), is_covered);
        }
    }

    #[test]
    fn others_pass() {
        for name in [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
            "x-requested-with",
            "x-auth-token",
            "x-auth-key",
            "cookie",
            "xpomerium",
            "x-pomerium",
            "remote-user-agent",
            "remote",
            "x-tenant",
            "client-certificate",
            "proxy-authorization",
            "\u{e9}",
            ":path",
            "",
        ] {
            assert!(!reserved().covers(name), "{name}");
        }
    }

    #[test]
    fn names_are_written_in_their_one_form() {
        for name in RESERVED.iter().flat_map(|group| group.names) {
            let plain = name.strip_suffix('*').unwrap_or(name);
            assert!(plain.bytes().all(|byte| fold(byte) == byte), "{name}");
        }
    }
}
