//! What the workers of one process share, and what outlives a plugin instance: a small table of bytes.
//!
//! It is the shared data of proxy-wasm: values are replaced as a whole, by compare-and-swap, and no key can be deleted.
//! So nothing here has a key per session: what is kept per session lies in a fixed number of `ExpiringTable`, each a list that
//! forgets what is over. Everything in it may be lost with the process; nothing that would let somebody in depends on it.

mod local;
mod sharded_table;

pub use local::LocalShared;
pub(crate) use sharded_table::{ExpiringTable, version_of};

/// How often a change is tried anew when other workers change the same value at the same time. Each failure means that
/// another worker succeeded, so that many in a row need as many workers at once.
const MAX_ATTEMPTS: u32 = 64;

/// The shared data of a body.
pub trait SharedData {
    /// A value and its version, which is never 0; `None` when there is none.
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Stores a value if `version` is still that of the present one, or if there is no value yet and `version` is
    /// [`ABSENT`]. Says whether it was stored.
    fn write(&self, key: &str, value: &[u8], version: u32) -> bool;
}

/// The version of a value that is not there: no value ever has it, and hosts take any version for an absent key.
pub const ABSENT: u32 = u32::MAX;

/// Changes a value: `change` gets what is there (empty when there is nothing) and returns what shall be there and a
/// result, or `Err` with the result when nothing shall change. It runs again when another worker was faster.
///
/// `None` when the value could not be stored.
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
                // Another worker comes in between.
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
