//! Entry points of the fuzz targets in `fuzz/`. Internal: behind the unstable feature `_fuzz`, no
//! part of the public API, and free to change at any time.

pub use crate::http::fuzzing::http_reply;
pub use crate::providers::fuzzing::{error_body, reply, retry_after, sse};

use crate::config::HelperConfig;
use crate::helper::AutomationHelper;

/// A configuration is refused, or makes a helper (which is not started).
pub fn config(input: &[u8]) {
    let Ok(config) = serde_json::from_slice::<HelperConfig>(input) else { return };
    let _ = format!("{config:?}");
    // The files that this configuration names are not read.
    if config.http.root_certificates.is_none() {
        if let Err(error) = AutomationHelper::new(config) {
            assert!(!error.to_string().is_empty());
        }
    }
}
