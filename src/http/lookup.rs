//! Where the thread that looks a name up and the call that waits for it meet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::sync::{Condvar, Mutex, lock, wait_until};

/// How a look-up ended.
#[derive(Debug)]
pub(super) enum Found {
    Addresses(Vec<SocketAddr>),
    Failed,
    Cancelled,
}

/// Where the answer of one look-up is put.
#[derive(Debug)]
pub(super) struct Slot {
    found: Mutex<Option<Found>>,
    filled: Condvar,
}

impl Slot {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { found: Mutex::new(None), filled: Condvar::new() })
    }

    /// The first answer stays; nobody who answers ever waits.
    pub(super) fn put(&self, found: Found) {
        lock(&self.found).get_or_insert(found);
        self.filled.notify_one();
    }

    /// The answer, once it is there; nothing if the moment came first.
    pub(super) fn take(&self, until: Option<Instant>) -> Option<Found> {
        let mut found = lock(&self.found);
        while found.is_none() {
            found = wait_until(&self.filled, found, until)?;
        }
        found.take()
    }
}

/// Founds when it is dropped, should its thread have ended without an answer.
pub(super) struct Reporting(pub(super) Arc<Slot>);

impl Drop for Reporting {
    fn drop(&mut self) {
        self.0.put(Found::Failed);
    }
}
