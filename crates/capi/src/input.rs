//! The configurations, requests and times that C passes.
#![forbid(unsafe_code)]

use std::time::Duration;

use automation_assistant::{HelperConfig, TaskRequest};

use crate::status::{Failure, aa_status};

/// Reads a configuration.
pub(crate) fn config(text: &str) -> Result<HelperConfig, Failure> {
    serde_json::from_str(text)
        .map_err(|fault| Failure::new(aa_status::AA_INVALID_CONFIG, fault.to_string()))
}

/// Reads a request.
pub(crate) fn request(text: &str) -> Result<TaskRequest, Failure> {
    serde_json::from_str(text)
        .map_err(|fault| Failure::new(aa_status::AA_INVALID_REQUEST, fault.to_string()))
}

/// A time of C's.
pub(crate) fn duration(timeout_ms: u32) -> Duration {
    if timeout_ms == u32::MAX { Duration::MAX } else { Duration::from_millis(timeout_ms.into()) }
}

#[cfg(test)]
mod tests {
    use super::config;

    #[test]
    fn readme_has_every_member_of_a_configuration() {
        let fault = config(r#"{"no_such_member": 1}"#).err().unwrap().message;
        let (_, members) = fault.split_once("expected one of ").unwrap();
        let members = members.split(" at line ").next().unwrap();
        assert!(members.split(", ").count() > 30, "{members}");
        for member in members.split(", ") {
            let name = format!("`{member}`");
            assert!(include_str!("../README.md").contains(&name), "README leaves out {member}");
        }
    }
}
