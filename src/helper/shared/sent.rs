//! The text that a backend has sent for a task: a task that fails keeps it.

use crate::sync::{Mutex, lock};

/// The largest empty buffer that is kept: most answers fit, and the next needs no allocation.
const KEPT_BYTES: usize = 1024;

/// Filled by the task's thread, copied by whoever ends the task.
#[derive(Default)]
pub(crate) struct SentText(Mutex<String>);

impl SentText {
    /// Appends a delta. What is longer than a reply may be is not kept.
    pub(crate) fn keep(&self, delta: &str, bytes_max: usize) {
        let mut text = lock(&self.0);
        if text.len().saturating_add(delta.len()) <= bytes_max {
            text.push_str(delta);
        }
    }

    pub(crate) fn forget(&self) {
        let mut text = lock(&self.0);
        text.clear();
        if text.capacity() > KEPT_BYTES {
            *text = String::new();
        }
    }

    pub(super) fn copy(&self) -> String {
        lock(&self.0).clone()
    }
}
