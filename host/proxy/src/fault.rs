//! Places at which tests let the proxy panic, to see that it goes on. Nothing is left of them in the program.

/// Panics if a test has asked for that, by the name of the place and of what is handled there.
#[cfg(not(test))]
#[inline]
pub(crate) fn point(_place: &str, _handled: impl std::fmt::Display) {}

#[cfg(test)]
pub(crate) use testing::{arm, point};

#[cfg(test)]
mod testing {
    use std::collections::HashSet;
    use std::sync::{Mutex, PoisonError};

    static ARMED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

    /// Lets the next one that comes there panic.
    pub(crate) fn arm(place: &str, handled: impl std::fmt::Display) {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let armed = armed.get_or_insert_default();
        armed.insert(format!("{place} {handled}"));
    }

    /// Panics if armed.
    pub(crate) fn point(place: &str, handled: impl std::fmt::Display) {
        let is_armed = {
            let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
            let name = format!("{place} {handled}");
            armed.as_mut().is_some_and(|armed| armed.remove(&name))
        };
        assert!(!is_armed, "a test asked for a panic");
    }
}
