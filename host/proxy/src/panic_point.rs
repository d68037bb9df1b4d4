//! Places at which tests make the proxy panic, to check that it continues. They do nothing outside tests.

/// Panics if a test has armed this place for the given request or connection.
#[cfg(not(test))]
#[inline]
pub(crate) fn pass(_place: &str, _handled: impl std::fmt::Display) {}

#[cfg(test)]
pub(crate) use testing::{arm, pass};

#[cfg(test)]
mod testing {
    use std::collections::HashSet;
    use std::sync::{Mutex, PoisonError};

    static ARMED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

    /// Makes the next pass of this place panic.
    pub(crate) fn arm(place: &str, handled: impl std::fmt::Display) {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let armed = armed.get_or_insert_default();
        armed.insert(format!("{place} {handled}"));
    }

    /// Panics if the place is armed.
    pub(crate) fn pass(place: &str, handled: impl std::fmt::Display) {
        let is_armed = {
            let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
            let name = format!("{place} {handled}");
            armed.as_mut().is_some_and(|armed| armed.remove(&name))
        };
        assert!(!is_armed, "a test asked for a panic");
    }
}
