//! Open connections that helpers share.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Open connections, shared by the helpers that have it: those of one server keep their
/// connections alive for each other, and trusted certificates are read once.
///
/// A manager gives its helpers one of its own, unless their configuration names another; a
/// helper without a manager has one to itself. What is shared lives as long as a helper that
/// uses it. Clones share. Cancelling a task never touches another helper's connection.
#[derive(Clone, Default)]
pub struct Connections(Arc<OnceLock<Box<dyn Any + Send + Sync>>>);

impl Connections {
    /// No connections yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the HTTP side keeps here. This module knows nothing of it, so that the core
    /// names no HTTP.
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
