//! Open connections that helpers share.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Open connections, shared by all helpers that have a clone: helpers of one server reuse each
/// other's connections, and trusted certificates are read once.
///
/// A manager has one for its helpers, unless their configuration sets another; a helper without a
/// manager has its own. Connections stay open as long as a helper uses the value. Clones share
/// the connections. Cancelling a task never touches another helper's connection.
#[derive(Clone, Default)]
pub struct Connections(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

impl Connections {
    /// No connections yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state of the HTTP module. It is opaque here, so that the core names no HTTP.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn shared<T: Any + Send + Sync + Default>(&self) -> Option<&T> {
        self.0.get_or_init(|| Box::new(T::default())).downcast_ref()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}
