//! The state of the whole process, as the admin listeners see it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::proxy::ProxyShared;

/// How far the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The proxy does not accept connections yet.
    Starting,
    /// The proxy accepts connections.
    Serving,
    /// The proxy stops: it accepts no new connections.
    Stopping,
}

/// The state of the process. The main thread writes it.
#[derive(Default)]
pub(crate) struct Overview {
    stage: AtomicU8,
    active: Mutex<Option<Arc<ProxyShared>>>,
}

impl Overview {
    /// Returns how far the process has come.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Stopping,
        }
    }

    /// Records how far the process has come.
    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Returns the active configuration with its counters; `None` before the first one is active.
    pub(crate) fn active(&self) -> Option<Arc<ProxyShared>> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.clone()
    }

    /// Records the configuration that is active from now on.
    pub(crate) fn set_active(&self, shared: Arc<ProxyShared>) {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        *active = Some(shared);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_as_it_was_written() {
        let overview = Overview::default();
        assert_eq!(overview.stage(), Stage::Starting);
        for stage in [Stage::Serving, Stage::Stopping, Stage::Starting] {
            overview.set_stage(stage);
            assert_eq!(overview.stage(), stage);
        }
        assert!(overview.active().is_none());
    }
}
