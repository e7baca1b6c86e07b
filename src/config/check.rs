//! Validation of a configuration.

use std::time::Duration;

use super::{HelperConfig, MAX_CONCURRENT_TASKS, MAX_NAME_BYTES, MIN_STACK_BYTES};
use crate::error::Error;
use crate::nesting::{MAX_JSON_DEPTH, is_too_deep};
use crate::secret::Secret;
use crate::text::is_control;

impl HelperConfig {
    /// Rejects values that are invalid for every backend. The backend validates the endpoint.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::InvalidConfig(why));
        let name = self.effective_name();
        if name.trim().is_empty() || name.len() > MAX_NAME_BYTES {
            return refuse(format!("the name must have 1 to {MAX_NAME_BYTES} bytes"));
        }
        let named = [("name", Some(name)), ("model", self.model.as_deref())];
        let optional = [
            ("api_endpoint", self.api_endpoint.as_deref()),
            ("api_key", self.api_key.as_ref().map(Secret::reveal)),
            ("organization", self.http.organization.as_deref()),
            ("project", self.http.project.as_deref()),
            ("workspace", self.http.workspace.as_deref()),
            ("reasoning_effort", self.http.reasoning_effort.as_deref()),
        ];
        let settings = self.http.settings.iter().map(|(name, text)| (*name, Some(text.as_str())));
        if let Some((foreign, _)) =
            settings.clone().find(|(name, _)| !self.provider().settings.contains(name))
        {
            return refuse(format!("{foreign} is no setting of a {} helper", self.asked.name()));
        }
        for (field, text) in named.into_iter().chain(optional).chain(settings) {
            let Some(text) = text else { continue };
            if text.trim().is_empty() {
                return refuse(format!("{field} is empty: leave it out, or give it a value"));
            }
            if text.chars().any(is_control) {
                return refuse(format!("{field} has control characters: remove them"));
            }
        }
        self.check_bounds()
    }

    /// Rejects bounds and times that are too small or too large.
    fn check_bounds(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::InvalidConfig(why));
        let threads = self.max_concurrent_tasks;
        if threads == 0 || threads > MAX_CONCURRENT_TASKS {
            return refuse(format!(
                "max_concurrent_tasks is {threads}: it must be 1 to {MAX_CONCURRENT_TASKS}"
            ));
        }
        let counts = [
            ("queue_capacity", self.queue_capacity),
            ("max_prompt_bytes", self.max_prompt_bytes),
            ("max_reply_bytes", self.max_reply_bytes),
            ("max_results", self.max_results),
            ("max_result_bytes", self.max_result_bytes),
            ("max_output_tokens", self.http.max_output_tokens.map_or(1, |max| max as usize)),
        ];
        for (field, count) in counts {
            if count == 0 {
                return refuse(format!("{field} is zero: it must be at least 1"));
            }
        }
        let times = [
            ("timeout", Some(self.effective_timeout())),
            ("connect_timeout", Some(self.http.connect_timeout)),
            ("first_byte_timeout", self.http.first_byte_timeout),
            ("idle_timeout", self.http.idle_timeout),
        ];
        for (field, time) in times {
            if time == Some(Duration::ZERO) {
                return refuse(format!("{field} is zero: it leaves no time to work"));
            }
        }
        if self.custom_params.values().any(is_too_deep) {
            return refuse(format!(
                "a custom_param is nested deeper than {MAX_JSON_DEPTH} levels: flatten it"
            ));
        }
        if self.stack_bytes < MIN_STACK_BYTES {
            return refuse(format!(
                "stack_bytes is {}: it must be at least {MIN_STACK_BYTES}, or a deep call \
                 ends the whole process",
                self.stack_bytes
            ));
        }
        Ok(())
    }
}
