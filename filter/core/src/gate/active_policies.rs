//! Which policies are active in the process.
//!
//! A proxy that reads a changed file starts new instances with it and keeps the old ones for the streams that they have.
//! By way of the shared data the old instances learn which of their routes are still active.

use std::cell::{Cell, RefCell};

use crate::config::{CockpitSettings, Route, RouteNumber};
use crate::digest::{self, CONFIGURATION_DIGEST};
use crate::store::{SharedData, update};

type RouteDigest = [u8; CONFIGURATION_DIGEST];

/// The policies that one gate has published, and what it knows of the active ones.
#[derive(Debug)]
pub(crate) struct ActivePolicies {
    keys: SharedKeys,
    /// The digests of this gate's routes, in the order of the file.
    own: Vec<RouteDigest>,
    /// The digest of all of them.
    whole: RouteDigest,
    /// The digest of the active routes that was seen last.
    seen: Cell<RouteDigest>,
    /// The digests of these active routes, sorted.
    current: RefCell<Vec<RouteDigest>>,
}

/// The keys in the shared data: of the digest of all routes, and of the list of routes.
#[derive(Debug)]
struct SharedKeys {
    whole: String,
    routes: String,
}

impl ActivePolicies {
    /// Makes these routes the active ones for all gates of this name.
    pub(crate) fn publish(name: &str, routes: &[Route], shared: &dyn SharedData) -> Self {
        let own: Vec<RouteDigest> = routes.iter().map(digest_of).collect();
        let mut sorted = own.clone();
        sorted.sort_unstable();
        let all = sorted.concat();
        let whole = digest::hash(&all);
        let keys = SharedKeys {
            whole: format!("jetway policies in force {name}"),
            routes: format!("jetway routes in force {name}"),
        };
        // The routes come first: a gate that sees the new digest finds them there.
        put(shared, &keys.routes, &all);
        put(shared, &keys.whole, &whole);
        Self {
            keys,
            own,
            whole,
            seen: Cell::new(whole),
            current: RefCell::new(sorted),
        }
    }

    /// Returns whether a route of this gate is active with the policy that it has here.
    pub(crate) fn has(&self, route: RouteNumber, shared: &dyn SharedData) -> bool {
        let Some((whole, _)) = shared.read(&self.keys.whole) else {
            return true;
        };
        if *whole == self.whole {
            return true;
        }
        if *whole != self.seen.get() {
            self.read_current(&whole, shared);
        }
        let current = self.current.borrow();
        self.own
            .get(route.0)
            .is_some_and(|own| current.binary_search(own).is_ok())
    }

    fn read_current(&self, whole: &[u8], shared: &dyn SharedData) {
        let routes = shared.read(&self.keys.routes);
        let (digests, _) = routes
            .as_ref()
            .map_or((&[][..], &[][..]), |(all, _)| all.as_chunks());
        *self.current.borrow_mut() = digests.to_vec();
        if let Ok(whole) = whole.try_into() {
            self.seen.set(whole);
        }
    }
}

/// Returns the digest of what decides whether an open stream may stay open: the route, its policy, whether it allows
/// WebSockets, and its users in Cockpit.
fn digest_of(route: &Route) -> RouteDigest {
    let policy = route.policy.to_value();
    let cockpit = route.cockpit.as_ref().map(CockpitSettings::to_value);
    let decisive = serde_json::json!([route.id, policy, route.allow_websockets, cockpit]);
    digest::hash(decisive.to_string().as_bytes())
}

fn put(shared: &dyn SharedData, key: &str, value: &[u8]) {
    let change = |present: &[u8]| {
        if present == value {
            return Err(());
        }
        Ok((value.to_vec(), ()))
    };
    // If it cannot be written, open streams keep the policies that let them in.
    let _ = update(shared, key, change);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalShared;
    use crate::testing::config;
    use serde_json::json;

    fn routes(policies: &[&str]) -> Vec<Route> {
        let routes: Vec<_> = policies
            .iter()
            .enumerate()
            .map(|(place, email)| {
                json!({"from": format!("https://r{place}.test"), "to": "http://a",
                       "policy": {"allow": {"or": [{"email": email}]}}})
            })
            .collect();
        config(&json!({ "routes": routes })).routes
    }

    #[test]
    fn changed_and_missing_routes_are_not_active_and_others_are() {
        let shared = LocalShared::default();
        let old =
            ActivePolicies::publish("p", &routes(&["a@x.test", "b@x.test", "c@x.test"]), &shared);
        let has = |place| old.has(RouteNumber(place), &shared);
        assert!(has(0) && has(1) && has(2));
        let _other = ActivePolicies::publish("another plugin", &routes(&[]), &shared);
        assert!(has(0) && has(1) && has(2));
        let new = ActivePolicies::publish("p", &routes(&["a@x.test", "z@x.test"]), &shared);
        assert!(has(0) && !has(1) && !has(2));
        assert!(new.has(RouteNumber(1), &shared));
        let _back = ActivePolicies::publish("p", &routes(&["a@x.test", "b@x.test"]), &shared);
        assert!(has(0) && has(1) && !has(2));
    }
}
