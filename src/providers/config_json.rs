//! A configuration from JSON, with the field names of the Python prototype.

use std::fmt;
use std::time::Duration;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::{BackendType, DEFAULT_CONNECT_TIMEOUT, HelperConfig, Provider, TraceMode};
use crate::secret::Secret;

/// The names that a configuration may use in JSON.
const FIELDS: &[&str] = &[
    "backend_type",
    "name",
    "max_concurrent_tasks",
    "timeout_seconds",
    "api_key",
    "api_endpoint",
    "model",
    "custom_params",
    "system_prompt",
    "queue_capacity",
    "max_prompt_bytes",
    "max_context_bytes",
    "max_image_bytes",
    "max_queued_image_bytes",
    "max_reply_bytes",
    "max_results",
    "max_result_bytes",
    "stack_bytes",
    "trace",
    "connect_timeout_seconds",
    "first_byte_timeout_seconds",
    "idle_timeout_seconds",
    "max_retries",
    "max_tool_rounds",
    "max_output_tokens",
    "reasoning_effort",
    "requests_per_minute",
    "tokens_per_minute",
    "token_budget",
    "allow_insecure_http",
    "root_certificates",
    "organization",
    "project",
    "workspace",
];

impl<'de> Deserialize<'de> for HelperConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("HelperConfig", FIELDS, ConfigVisitor)
    }
}

/// A setting that one of the providers has for itself.
fn setting(name: &str) -> Option<&'static str> {
    let mut all = Provider::all().iter().flat_map(|provider| provider.settings);
    all.find(|setting| **setting == name).copied()
}

struct ConfigVisitor;

/// Reads a value. Serde's own words for one of the wrong kind quote it, and it may be a key
/// that slipped into another field.
fn given<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A) -> Result<T, A::Error> {
    map.next_value().map_err(|_| {
        de::Error::custom("the value here is no JSON, or not of the kind that its field takes")
    })
}

/// Reads a value into a place, if it is there and not null.
fn put<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    place: &mut T,
) -> Result<(), A::Error> {
    if let Some(value) = given::<A, Option<T>>(map)? {
        *place = value;
    }
    Ok(())
}

/// Reads a trace mode's name, if it is there and not null.
fn trace_mode<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<TraceMode>, A::Error> {
    let Some(name) = map.next_value::<Option<String>>()? else { return Ok(None) };
    match TraceMode::named(&name) {
        Some(mode) => Ok(Some(mode)),
        None => Err(de::Error::unknown_variant(&name, &["off", "metadata", "content"])),
    }
}

/// Reads a number of seconds, if it is there and not null.
fn seconds<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Duration>, A::Error> {
    let number: Option<f64> = given(map)?;
    let time = number.map(|number| {
        Duration::try_from_secs_f64(number)
            .map_err(|_| de::Error::custom("a time is a number of seconds, zero or more"))
    });
    time.transpose()
}

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = HelperConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a helper's configuration as a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HelperConfig, A::Error> {
        let mut config = HelperConfig::new(BackendType::Local);
        let mut backend_type: Option<BackendType> = None;
        let mut key: Option<String> = None;
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "backend_type" => backend_type = Some(given(&mut map)?),
                "name" => config.name = given(&mut map)?,
                "max_concurrent_tasks" => put(&mut map, &mut config.max_concurrent_tasks)?,
                "timeout_seconds" => config.timeout = seconds(&mut map)?,
                "api_key" => key = given(&mut map)?,
                "api_endpoint" => config.api_endpoint = given(&mut map)?,
                "model" => config.model = given(&mut map)?,
                "custom_params" => put(&mut map, &mut config.custom_params)?,
                "system_prompt" => config.system_prompt = given(&mut map)?,
                "queue_capacity" => put(&mut map, &mut config.queue_capacity)?,
                "max_prompt_bytes" => put(&mut map, &mut config.max_prompt_bytes)?,
                "max_context_bytes" => put(&mut map, &mut config.max_context_bytes)?,
                "max_image_bytes" => put(&mut map, &mut config.max_image_bytes)?,
                "max_queued_image_bytes" => put(&mut map, &mut config.max_queued_image_bytes)?,
                "max_reply_bytes" => put(&mut map, &mut config.max_reply_bytes)?,
                "max_results" => put(&mut map, &mut config.max_results)?,
                "max_result_bytes" => put(&mut map, &mut config.max_result_bytes)?,
                "stack_bytes" => put(&mut map, &mut config.stack_bytes)?,
                "trace" => config.trace = trace_mode(&mut map)?,
                "connect_timeout_seconds" => {
                    config.http.connect_timeout =
                        seconds(&mut map)?.unwrap_or(DEFAULT_CONNECT_TIMEOUT);
                }
                "first_byte_timeout_seconds" => {
                    config.http.first_byte_timeout = seconds(&mut map)?;
                }
                "idle_timeout_seconds" => config.http.idle_timeout = seconds(&mut map)?,
                "max_retries" => put(&mut map, &mut config.http.max_retries)?,
                "max_output_tokens" => config.http.max_output_tokens = given(&mut map)?,
                "reasoning_effort" => config.http.reasoning_effort = given(&mut map)?,
                "max_tool_rounds" => put(&mut map, &mut config.http.max_tool_rounds)?,
                "requests_per_minute" => config.http.requests_per_minute = given(&mut map)?,
                "tokens_per_minute" => config.http.tokens_per_minute = given(&mut map)?,
                "token_budget" => config.http.token_budget = given(&mut map)?,
                "allow_insecure_http" => put(&mut map, &mut config.http.allow_insecure_http)?,
                "root_certificates" => config.http.root_certificates = given(&mut map)?,
                "organization" => config.http.organization = given(&mut map)?,
                "project" => config.http.project = given(&mut map)?,
                "workspace" => config.http.workspace = given(&mut map)?,
                other => match setting(other) {
                    Some(name) => {
                        if let Some(value) = given::<A, Option<String>>(&mut map)? {
                            config = config.setting(name, value);
                        }
                    }
                    None => {
                        let _: IgnoredAny = map.next_value()?;
                        return Err(de::Error::unknown_field(other, FIELDS));
                    }
                },
            }
        }
        let backend_type = backend_type.ok_or_else(|| de::Error::missing_field("backend_type"))?;
        config.asked = HelperConfig::new(backend_type).asked;
        config.api_key = key.as_deref().map(Secret::new);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prototype_s_file_is_read_with_nulls_for_what_is_not_set() {
        let config: HelperConfig = serde_json::from_str(
            r#"{"backend_type":"chatgpt","name":"a","max_concurrent_tasks":2,
                "timeout_seconds":1.5,"api_key":" sk-1\n","api_endpoint":null,
                "model":"m","custom_params":{"temperature":0.7}}"#,
        )
        .unwrap();
        assert_eq!(config.asked.backend_type, BackendType::ChatGpt);
        assert_eq!(config.effective_timeout(), Duration::from_millis(1500));
        assert_eq!(config.api_key.as_ref().unwrap().reveal(), "sk-1");
        assert!(!format!("{config:?}").contains("sk-1"));
        config.check().unwrap();
    }

    #[test]
    fn a_misspelt_field_is_an_error_that_lists_the_right_ones() {
        let fault = serde_json::from_str::<HelperConfig>(r#"{"backend_type":"local","timeout":3}"#)
            .unwrap_err()
            .to_string();
        assert!(fault.contains("timeout_seconds"), "{fault}");
    }
}
