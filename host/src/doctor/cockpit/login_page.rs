//! Reads Cockpit's configuration from its login page.

use serde_json::Value;

use crate::doctor::answer::Answer;

/// The page before the login.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LoginPage {
    /// Whether it offers logins to other machines (`LoginTo`).
    pub(super) connects_elsewhere: bool,
    /// Whether it requires a host for each login (`RequireHost`).
    pub(super) requires_host: bool,
    /// `[OAuth] URL`.
    pub(super) sign_in_url: Option<String>,
}

impl LoginPage {
    /// Reads the page; missing settings have Cockpit's defaults.
    pub(super) fn read(answer: &Answer) -> Self {
        let environment = read_environment(&answer.text()).unwrap_or(Value::Null);
        Self {
            connects_elsewhere: environment["page"]["connect"] == true,
            requires_host: environment["page"]["require_host"] == true,
            sign_in_url: environment["OAuth"]["URL"].as_str().map(str::to_owned),
        }
    }
}

/// Returns the object that the page passes to its script.
fn read_environment(page: &str) -> Option<Value> {
    let (_, rest) = page.split_once("var environment = ")?;
    let (object, _) = rest.split_once('\n')?;
    serde_json::from_str(object.trim().trim_end_matches(';')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Cockpit 287 writes it.
    const PAGE: &str = "<script>\nvar environment = {\"is_cockpit_client\":false,\"page\":{\"connect\":true,\"require_host\":false},\
        \"hostname\":\"vm\",\"OAuth\":{\"URL\":\"/.pomerium/cockpit/token\",\"ErrorParam\":null,\"TokenParam\":null}};\n</script>";

    #[test]
    fn the_environment_is_read() {
        let page = read_environment(PAGE).unwrap();
        assert_eq!(page["hostname"], "vm");
        assert_eq!(page["page"]["connect"], true);
        assert_eq!(page["OAuth"]["URL"], "/.pomerium/cockpit/token");
        assert_eq!(read_environment("<html>"), None);
        assert_eq!(read_environment("var environment = {\n"), None);
    }
}
