//! Logins of GitHub, with which Pomerium compares `user`.
//!
//! Jetway's `sub` of a GitHub user is the account's `node_id`: a user can change the login, and GitHub then gives it to another
//! user. A rule with a login would match the login's later owner, and a renamed user would escape a `deny` rule. Configurations
//! therefore name the `node_id`.

use super::CockpitSettings;
use crate::config::file_map::FileMap;
use crate::diagnostics::{Findings, KeyPath, quoted};
use crate::policy::Policy;

/// The beginnings of a user's `node_id`: the present form, and base64 of `04:User` with a digit.
const NODE_IDS: [&str; 2] = ["U_kg", "MDQ6VXNlcj"];

/// Reports each user of a route's policies who is neither an address nor a `node_id`.
pub(super) fn refuse_logins(
    map: &FileMap<'_>,
    policy: &Policy,
    cockpit: Option<&CockpitSettings>,
    findings: &mut Findings,
) {
    // Problems of the list are reported where the policy is read.
    let listed = map
        .strings("allowed_users", &mut Findings::default())
        .unwrap_or_default();
    for user in policy.users() {
        let key_path = match listed.iter().position(|known| known == user) {
            Some(index) => map.path_of("allowed_users").item(index),
            None => map.path_of("policy"),
        };
        refuse_login(user, &key_path, findings);
    }
    let Some(cockpit) = cockpit else { return };
    let key_path = map.path_of("cockpit");
    for user in cockpit.administrators.users() {
        refuse_login(user, &key_path.key("administrators"), findings);
    }
    for user in cockpit.users.keys() {
        refuse_login(user, &key_path.key("users").key(user), findings);
    }
}

fn refuse_login(user: &str, key_path: &KeyPath, findings: &mut Findings) {
    if user.contains('@') || NODE_IDS.iter().any(|begin| user.starts_with(begin)) {
        return;
    }
    findings
        .problem(
            key_path,
            format!(
                "{} is compared with the user's `node_id` at GitHub, and not with the login, which GitHub can give to another user",
                quoted(user)
            ),
        )
        .help(format!(
            "write the `node_id` from `/users/{user}` of GitHub's API, or the criterion `claim/preferred_username: {user}` to compare the login all the same"
        ));
}
