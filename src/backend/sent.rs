//! The text that a backend has sent for a task, kept for a task that fails.

use crate::sync::{Mutex, lock};
use crate::text::cut;

/// The largest buffer that is kept for reuse: most answers fit, and the next needs no allocation.
const KEPT_BYTES: usize = 1024;

/// Filled by the task's thread, copied by the thread that ends the task.
pub(crate) struct SentText {
    kept: Mutex<Beginning>,
    bytes_max: usize,
}

struct Beginning {
    text: String,
    /// How many more bytes are kept.
    space: usize,
}

impl SentText {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { kept: Mutex::new(Beginning { text: String::new(), space: bytes_max }), bytes_max }
    }

    /// Appends a delta. Of text beyond the limit on replies the beginning is kept.
    pub(super) fn keep(&self, delta: &str) {
        let mut kept = lock(&self.kept);
        let fits = cut(delta, kept.space);
        kept.text.push_str(fits);
        // Nothing is kept behind a gap.
        kept.space = if fits.len() < delta.len() { 0 } else { kept.space - fits.len() };
    }

    pub(crate) fn forget(&self) {
        let mut kept = lock(&self.kept);
        kept.space = self.bytes_max;
        kept.text.clear();
        if kept.text.capacity() > KEPT_BYTES {
            kept.text = String::new();
        }
    }

    pub(crate) fn copy(&self) -> String {
        lock(&self.kept).text.clone()
    }
}
