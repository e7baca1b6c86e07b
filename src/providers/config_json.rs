//! A configuration from JSON, with the field names of the Python prototype.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use crate::config::{BackendType, HelperConfig, Provider, TraceMode};
use crate::members::members;
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
    "max_request_bytes",
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
    "headers",
];

/// A value of another kind than its name says.
const WRONG: &str = "is not of the kind that it must be";
/// Serde's own words, which readers know.
const UNKNOWN: &str = "unknown field";

/// Errors name the field and never quote a value: it may be a key that slipped into another one.
impl<'de> Deserialize<'de> for HelperConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = members(deserializer, "a helper's configuration is a JSON object")?;
        read(fields).map_err(de::Error::custom)
    }
}

fn read(fields: Map<String, Value>) -> Result<HelperConfig, String> {
    let mut config = HelperConfig::new(BackendType::Local);
    let mut backend_type = None;
    for (name, value) in fields {
        let own = setting(&name);
        if own.is_none() && !FIELDS.contains(&name.as_str()) {
            let settings = Provider::all().iter().flat_map(|provider| provider.settings);
            let mut known = FIELDS.to_vec();
            for setting in settings {
                if !known.contains(setting) {
                    known.push(setting);
                }
            }
            return Err(format!("{UNKNOWN} `{name}`, expected one of {}", known.join(", ")));
        }
        let done = match (name.as_str(), own) {
            // It stands for a field that is left out.
            _ if value.is_null() => Ok(()),
            ("backend_type", _) => match provider(&value) {
                Some(provider) => {
                    backend_type = Some(provider.backend_type());
                    Ok(())
                }
                None => return Err(format!("backend_type is none of {}", names())),
            },
            (_, Some(own)) => text(value).map(|value| config.set_setting(own, value)),
            (name, None) => set(&mut config, name, value),
        };
        done.map_err(|why| format!("{name} {why}"))?;
    }
    config.asked = HelperConfig::new(backend_type.ok_or("missing field `backend_type`")?).asked;
    Ok(config)
}

fn provider(value: &Value) -> Option<&'static Provider> {
    Provider::all().iter().find(|provider| value == provider.name()).copied()
}

fn names() -> String {
    let names: Vec<_> = Provider::all().iter().map(|provider| provider.name()).collect();
    names.join(", ")
}

/// A setting that one of the providers has for itself.
fn setting(name: &str) -> Option<&'static str> {
    let mut all = Provider::all().iter().flat_map(|provider| provider.settings);
    all.find(|setting| **setting == name).copied()
}

/// Sets one field. In place, and from values of one type: each setter that moves the whole
/// configuration, and each type that serde reads by itself, would cost code.
fn set(config: &mut HelperConfig, name: &str, value: Value) -> Result<(), &'static str> {
    let http = &mut config.http;
    match name {
        "name" => set_text(&mut config.name, value)?,
        "max_concurrent_tasks" => config.max_concurrent_tasks = number(&value)?,
        "timeout_seconds" => config.timeout = Some(seconds(&value)?),
        "api_key" => config.api_key = Some(Secret::new(&text(value)?)),
        "api_endpoint" => set_text(&mut config.api_endpoint, value)?,
        "model" => set_text(&mut config.model, value)?,
        "custom_params" => config.custom_params = object(value)?,
        "system_prompt" => set_text(&mut config.system_prompt, value)?,
        "queue_capacity" => config.queue_capacity = number(&value)?,
        "max_prompt_bytes" => config.max_prompt_bytes = number(&value)?,
        "max_context_bytes" => config.max_context_bytes = number(&value)?,
        "max_request_bytes" => config.max_request_bytes = number(&value)?,
        "max_image_bytes" => config.max_image_bytes = number(&value)?,
        "max_queued_image_bytes" => config.max_queued_image_bytes = number(&value)?,
        "max_reply_bytes" => config.max_reply_bytes = number(&value)?,
        "max_results" => config.max_results = number(&value)?,
        "max_result_bytes" => config.max_result_bytes = number(&value)?,
        "stack_bytes" => config.stack_bytes = number(&value)?,
        "trace" => config.trace = Some(trace_mode(&value)?),
        "connect_timeout_seconds" => http.connect_timeout = seconds(&value)?,
        "first_byte_timeout_seconds" => http.first_byte_timeout = Some(seconds(&value)?),
        "idle_timeout_seconds" => http.idle_timeout = Some(seconds(&value)?),
        "max_retries" => http.max_retries = number(&value)?,
        "max_output_tokens" => http.max_output_tokens = Some(number(&value)?),
        "reasoning_effort" => set_text(&mut http.reasoning_effort, value)?,
        "max_tool_rounds" => http.max_tool_rounds = number(&value)?,
        "requests_per_minute" => http.requests_per_minute = Some(number(&value)?),
        "tokens_per_minute" => http.tokens_per_minute = Some(number(&value)?),
        "token_budget" => http.token_budget = Some(number(&value)?),
        "allow_insecure_http" => http.allow_insecure_http = value.as_bool().ok_or(WRONG)?,
        "root_certificates" => http.root_certificates = Some(text(value)?.into()),
        "organization" => set_text(&mut http.organization, value)?,
        "project" => set_text(&mut http.project, value)?,
        "workspace" => set_text(&mut http.workspace, value)?,
        "headers" => {
            for (name, value) in object(value)? {
                http.headers.0.insert(name.to_ascii_lowercase(), text(value)?.into());
            }
        }
        _ => return Err(UNKNOWN),
    }
    Ok(())
}

fn set_text(place: &mut Option<String>, value: Value) -> Result<(), &'static str> {
    *place = Some(text(value)?);
    Ok(())
}

fn text(value: Value) -> Result<String, &'static str> {
    if let Value::String(text) = value { Ok(text) } else { Err(WRONG) }
}

fn object(value: Value) -> Result<Map<String, Value>, &'static str> {
    if let Value::Object(map) = value { Ok(map) } else { Err(WRONG) }
}

fn number<T: TryFrom<u64>>(value: &Value) -> Result<T, &'static str> {
    value
        .as_u64()
        .and_then(|number| T::try_from(number).ok())
        .ok_or("is no whole number in its range")
}

fn seconds(value: &Value) -> Result<Duration, &'static str> {
    let time = value.as_f64().map(Duration::try_from_secs_f64);
    time.and_then(Result::ok).ok_or("is no number of seconds, zero or more")
}

fn trace_mode(value: &Value) -> Result<TraceMode, &'static str> {
    let named = value.as_str().and_then(TraceMode::named);
    named.ok_or("is none of off, metadata, content")
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

    #[test]
    fn each_field_is_known_and_each_wrong_value_is_named_and_not_quoted() {
        for field in FIELDS {
            let text = format!(r#"{{"backend_type":"local","{field}":["sk-secret"]}}"#);
            let fault = serde_json::from_str::<HelperConfig>(&text).unwrap_err().to_string();
            assert!(fault.starts_with(&format!("{field} ")) && !fault.contains(UNKNOWN), "{fault}");
            assert!(!fault.contains("sk-secret"), "{fault}");
            let left_out = format!(r#"{{"{field}":null,"backend_type":"local"}}"#);
            let read = serde_json::from_str::<HelperConfig>(&left_out);
            assert_eq!(read.is_ok(), *field != "backend_type", "{field}: {read:?}");
        }
    }

    #[test]
    fn an_unknown_backend_is_answered_with_the_known_ones() {
        let known: Vec<_> = Provider::all().iter().map(|provider| provider.name()).collect();
        let fault = serde_json::from_str::<HelperConfig>(r#"{"backend_type":"sk-secret"}"#);
        let fault = fault.unwrap_err().to_string();
        assert!(
            fault.contains(&format!("backend_type is none of {}", known.join(", "))),
            "{fault}"
        );
        assert!(!fault.contains("sk-secret"), "{fault}");
    }
}
