//! The state that the workers of one process share, and that outlives a plugin instance.
//!
//! It is the shared data of proxy-wasm: values are replaced as a whole, by compare-and-swap, and no key can be deleted. So no
//! session has a key of its own: entries lie in a fixed number of shards (`ExpiringTable`) and expire. All of it may be lost
//! with the process, and no access depends on it.

mod local;
mod sharded_table;
pub(crate) mod slot_cache;

pub use local::LocalShared;
pub(crate) use sharded_table::{ExpiringTable, Shard, entry_name, version_in};

/// How often a change is tried again when other workers change the same value at the same time. Each failure means that
/// another worker succeeded, so that many failures in a row need as many workers at once.
const MAX_ATTEMPTS: u32 = 64;

/// The shared data of a proxy.
pub trait SharedData {
    /// Returns a value and its version, which is never 0; `None` when there is no value.
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Stores a value if `version` is still that of the present one, or if there is no value yet and `version` is
    /// [`ABSENT`]. Returns whether it was stored.
    fn write(&self, key: &str, value: &[u8], version: u32) -> bool;
}

/// The version of an absent value: no value ever has it, and hosts accept any version for an absent key.
pub const ABSENT: u32 = u32::MAX;

/// Changes a value. `change` gets the present value (empty when there is none) and returns the new one with a result, or `Err`
/// with the result to change nothing. It runs again when another worker was faster.
///
/// Returns `None` when the value could not be stored.
pub(crate) fn update<T>(
    shared: &dyn SharedData,
    key: &str,
    mut change: impl FnMut(&[u8]) -> Result<(Vec<u8>, T), T>,
) -> Option<T> {
    for _ in 0..MAX_ATTEMPTS {
        let (current, version) = shared.read(key).unwrap_or((Vec::new(), ABSENT));
        match change(&current) {
            Err(unchanged) => return Some(unchanged),
            Ok((value, result)) if shared.write(key, &value, version) => return Some(result),
            Ok(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_lost_is_made_again() {
        let shared = LocalShared::default();
        let mut rounds = 0;
        let result = update(&shared, "key", |current| {
            rounds += 1;
            if rounds == 1 {
                // Another worker changes the value in the meantime.
                assert!(shared.write("key", b"theirs ", ABSENT));
            }
            Ok(([current, b"ours"].concat(), rounds))
        });
        assert_eq!(result, Some(2));
        assert_eq!(shared.read("key").unwrap().0, b"theirs ours");
    }

    #[test]
    fn no_change_stores_nothing() {
        let shared = LocalShared::default();
        let result = update(&shared, "key", |_| Err::<(Vec<u8>, _), _>("nothing"));
        assert_eq!((result, shared.read("key")), (Some("nothing"), None));
    }
}
