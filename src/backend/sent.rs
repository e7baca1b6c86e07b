//! The text that a backend has sent for a task, kept for a task that fails.

use crate::sync::{Mutex, lock};

/// The largest buffer that is kept for reuse: most answers fit, and the next needs no allocation.
const KEPT_BYTES: usize = 1024;

/// Filled by the task's thread, copied by the thread that ends the task.
pub(crate) struct SentText {
    text: Mutex<String>,
    bytes_max: usize,
}

impl SentText {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { text: Mutex::new(String::new()), bytes_max }
    }

    /// Appends a delta. Text beyond the limit on replies is not kept.
    pub(super) fn keep(&self, delta: &str) {
        let mut text = lock(&self.text);
        if text.len().saturating_add(delta.len()) <= self.bytes_max {
            text.push_str(delta);
        }
    }

    pub(crate) fn forget(&self) {
        let mut text = lock(&self.text);
        text.clear();
        if text.capacity() > KEPT_BYTES {
            *text = String::new();
        }
    }

    pub(crate) fn copy(&self) -> String {
        lock(&self.text).clone()
    }
}
