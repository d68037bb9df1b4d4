//! Names a route within one configuration.

/// A route of the gate that named it; it means nothing to another gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteNumber(pub(crate) usize);
