//! The configurations, requests and times that C passes.
#![forbid(unsafe_code)]

use std::time::Duration;

use automation_assistant::{HelperConfig, TaskRequest};
use serde::de::DeserializeOwned;

use crate::status::{Failure, aa_status};

/// Reads a configuration.
pub(crate) fn config(text: &str) -> Result<HelperConfig, Failure> {
    json(text, aa_status::AA_INVALID_CONFIG)
}

/// Reads a request.
pub(crate) fn request(text: &str) -> Result<TaskRequest, Failure> {
    json(text, aa_status::AA_INVALID_REQUEST)
}

/// Reads any JSON; `fault` is its status where it is wrong. (As from a file: `serde_json::from_str`
/// is code again, 4 KB of a program.)
pub(crate) fn json<T: DeserializeOwned>(text: &str, fault: aa_status) -> Result<T, Failure> {
    serde_json::from_reader(text.as_bytes()).map_err(|why| unreadable(fault, &why))
}

#[inline(never)]
fn unreadable(fault: aa_status, why: &serde_json::Error) -> Failure {
    Failure::new(fault, why.to_string())
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
