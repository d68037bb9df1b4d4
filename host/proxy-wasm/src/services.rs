//! The services of the proxy that a plugin uses. Each is a trait; all but the HTTP calls have an implementation here.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::activity::PluginActivity;
use crate::calls::{HttpCalls, NoCalls};
use crate::head::StreamFacts;
use crate::log::{Log, TracingLog};
use crate::metrics::{MetricTable, Metrics};
use crate::shared::{MemoryData, SharedData};

/// The services that a proxy offers to a plugin.
///
/// The default makes no HTTP calls, has only the built-in properties, reads the system's clock, logs through `tracing`,
/// and shares nothing with other plugins.
#[derive(Clone)]
pub struct Services {
    /// Performs the plugin's HTTP calls.
    pub calls: Rc<dyn HttpCalls>,
    /// Reads the time.
    pub clock: Rc<dyn Clock>,
    /// Looks up properties that this crate does not define.
    pub properties: Rc<dyn Properties>,
    /// Receives the plugin's log lines.
    pub log: Rc<dyn Log>,
    /// Shared data and metrics.
    pub shared: Shared,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            calls: Rc::new(NoCalls),
            clock: Rc::new(SystemClock::default()),
            properties: Rc::new(NoProperties),
            log: Rc::new(TracingLog),
            shared: Shared::default(),
        }
    }
}

/// State that all plugins of a virtual machine (`vm_id`) share and that outlives every instance. Clones share the
/// state.
#[derive(Clone)]
pub struct Shared {
    /// Shared data.
    pub data: Arc<dyn SharedData>,
    /// Metrics.
    pub metrics: Arc<dyn Metrics>,
    /// Counts what the instances do.
    pub activity: Arc<PluginActivity>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            data: Arc::new(MemoryData::default()),
            metrics: Arc::new(MetricTable::default()),
            activity: Arc::default(),
        }
    }
}

/// A source of time. Deadlines and timers do not depend on it: they follow the clock of the tokio runtime.
pub trait Clock {
    /// Returns the time of day.
    fn now(&self) -> SystemTime;

    /// Returns the time since a fixed moment in the past. It never decreases.
    fn monotonic(&self) -> Duration;
}

/// The clock of the operating system. Its monotonic time starts when the value is created.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Properties beyond the built-in ones (`request.*`, `response.*`, `source.*`, `destination.*`, `connection.*` and
/// `plugin_*`), such as `route_name` or `xds.cluster_name`.
pub trait Properties {
    /// Returns the value of the property of this path in the serialised form of Envoy's attributes, or `None` if it has
    /// none. `stream` is the effective stream; it is absent in the plugin's root context.
    fn value(&self, path: &[&str], stream: Option<&StreamFacts>) -> Option<Vec<u8>>;
}

/// No properties beyond the built-in ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProperties;

impl Properties for NoProperties {
    fn value(&self, _: &[&str], _: Option<&StreamFacts>) -> Option<Vec<u8>> {
        None
    }
}
