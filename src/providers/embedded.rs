//! The embedded engine: offline, no dependency, no model. It says back what it was asked.

use std::time::Duration;

use serde_json::{Map, Value};

use super::local_server;
use crate::backend::{AiBackend, CallContext, Reply};
use crate::config::{BackendType, HelperConfig, IDLE, Provider, TIMEOUT, TraceMode};
use crate::env::Env;
use crate::error::Error;
use crate::task_error::{ErrorKind, TaskError};

/// The embedded engine; at an endpoint of its own a model server answers in its place.
pub(super) static LOCAL: Provider = Provider {
    backend_type: BackendType::Local,
    label: "Local",
    vendor: Some("local"),
    key_variables: &[],
    base_variable: None,
    default_base: None,
    default_model: Some(EMBEDDED_MODEL),
    timeout: TIMEOUT,
    idle_timeout: IDLE,
    trace: TraceMode::Off,
    settings: &[],
    refuse_param: None,
    with_endpoint: Some(&local_server::SERVER),
    build,
};

impl HelperConfig {
    /// For the embedded engine, or (with [`api_endpoint`](Self::api_endpoint)) a model
    /// server on this device.
    ///
    /// The embedded engine echoes the prompt as one delta of text, after the time of the parameter
    /// `latency_ms`: a task that is stopped before has no [`partial`](crate::TaskError::partial)
    /// text. Of a request it reads the prompt, whether there is a context, and `latency_ms`; tools,
    /// a reply schema, earlier turns, the system prompt and model settings have no effect, pictures
    /// are rejected. [`Task::echoed`](crate::Task::echoed) is `true` for its answers.
    #[doc(alias("ollama", "llama.cpp", "vllm", "lm studio", "offline", "embedded"))]
    pub fn local() -> Self {
        Self::of(&LOCAL)
    }
}

fn build(config: &HelperConfig, _: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
    Ok(Box::new(Embedded::new(config)?))
}

/// The model's name where none is configured.
const EMBEDDED_MODEL: &str = "local-mock";
/// The parameter that makes the engine take its time, in milliseconds.
const LATENCY_PARAM: &str = "latency_ms";
/// Longest simulated latency: an hour. Longer is a slip of the pen.
const LATENCY_MS_MAX: u32 = 3_600_000;
/// Names both. (Not formatted, for the sake of small programs.)
const BAD_LATENCY: &str = "latency_ms must be a number of milliseconds from 0 to 3600000";

const HEAD: &str = "Local Response: Echo of '";
const TAIL: &str = "'";
const CONTEXT_MARK: &str = " [Context provided]";

/// Answers `Local Response: Echo of '<prompt>'`.
pub(crate) struct Embedded {
    name: String,
    latency: Duration,
}

impl Embedded {
    pub(crate) fn new(config: &HelperConfig) -> Result<Self, Error> {
        let model = config.model_or_default();
        let latency =
            latency(&config.custom_params).map_err(|why| Error::InvalidConfig(why.to_owned()))?;
        Ok(Self { name: LOCAL.backend_name(model), latency: latency.unwrap_or_default() })
    }
}

fn latency(params: &Map<String, Value>) -> Result<Option<Duration>, &'static str> {
    let Some(value) = params.get(LATENCY_PARAM) else { return Ok(None) };
    match value.as_f64() {
        Some(ms) if (0.0..=f64::from(LATENCY_MS_MAX)).contains(&ms) => {
            Ok(Some(Duration::from_secs_f64(ms / 1e3)))
        }
        _ => Err(BAD_LATENCY),
    }
}

impl AiBackend for Embedded {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let request = call.request();
        let latency = latency(&request.custom_params)
            .map_err(|why| TaskError::new(ErrorKind::InvalidRequest, why))?
            .unwrap_or(self.latency);
        call.check()?;
        if !latency.is_zero() {
            call.pause(latency)?;
        }
        let mark = if request.context.is_empty() { "" } else { CONTEXT_MARK };
        let prompt = call.prompt();
        // One allocation of the right size; `format!` would guess.
        let mut text = String::with_capacity(HEAD.len() + prompt.len() + TAIL.len() + mark.len());
        for part in [HEAD, prompt, TAIL, mark] {
            text.push_str(part);
        }
        call.send_text(&text)?;
        let mut reply = Reply::new(text);
        reply.echoed = true;
        Ok(reply)
    }
}

#[cfg(test)]
#[test]
fn the_words_about_a_bad_latency_name_its_parameter_and_bound() {
    assert!(BAD_LATENCY.starts_with(LATENCY_PARAM));
    assert!(BAD_LATENCY.ends_with(&LATENCY_MS_MAX.to_string()));
}
