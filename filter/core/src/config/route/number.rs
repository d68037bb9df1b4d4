//! The index of a route within one configuration.

/// The index of a route in the gate that returned it; it is meaningless for another gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteNumber(pub(crate) usize);
