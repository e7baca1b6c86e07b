//! Waiting for the tasks of several helpers.

use std::time::Instant;

use crate::helper::shared::{Shared, Watch};
use crate::sync::Arc;

/// Watches any number of helpers until it is dropped.
pub(crate) struct WatchSet {
    watch: Arc<Watch>,
    helpers: Vec<Arc<Shared>>,
}

impl WatchSet {
    /// Watches no helper yet.
    pub(crate) fn new() -> Self {
        Self { watch: Watch::new(), helpers: Vec::new() }
    }

    /// Adds a helper to those watched; adding it again changes nothing.
    pub(crate) fn add(&mut self, helper: &Arc<Shared>) {
        if !self.helpers.iter().any(|other| Arc::ptr_eq(other, helper)) {
            helper.watch(&self.watch);
            self.helpers.push(Arc::clone(helper));
        }
    }

    /// Sleeps until a watched helper ends a task, until another thread fires
    /// [`watch`](Self::watch), or until the given moment.
    pub(crate) fn sleep_until(&self, until: Option<Instant>) {
        self.watch.sleep_until(until);
    }

    /// The watch, for other parties that may wake the sleeper.
    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

impl Drop for WatchSet {
    fn drop(&mut self) {
        for helper in &self.helpers {
            helper.unwatch(&self.watch);
        }
    }
}
