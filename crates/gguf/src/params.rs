//! A request's parameters, checked.

use automation_assistant::{CallContext, ErrorKind, TaskError};
use serde_json::Value;

/// The most `stop` texts of a request.
const STOPS_MAX: usize = 16;
/// Above this the choice is as good as blind.
const TEMPERATURE_MAX: f64 = 5.0;
/// How many of the likeliest tokens are considered where the request does not set it.
const DEFAULT_TOP_K: usize = 40;

/// Whether the model may call tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Auto,
    None,
    Required,
}

/// A request's parameters of the sampling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Params {
    pub(crate) temperature: f64,
    pub(crate) top_p: f64,
    pub(crate) top_k: usize,
    pub(crate) seed: Option<u64>,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) stop: Vec<String>,
    pub(crate) tool_choice: ToolChoice,
}

impl Params {
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`], which names the parameter.
    pub(crate) fn of(call: &CallContext<'_>) -> Result<Self, TaskError> {
        let read = Self::read(|name| call.param(name).filter(|value| !value.is_null()));
        let mut params = read.map_err(|why| TaskError::new(ErrorKind::InvalidRequest, why))?;
        if let Some(tokens) = call.max_output_tokens() {
            params.max_tokens = usize::try_from(tokens).ok();
        }
        Ok(params)
    }

    fn read<'v>(param: impl Fn(&str) -> Option<&'v Value>) -> Result<Self, String> {
        let number = |name: &str, default: f64, min: f64, max: f64| match param(name) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|number| (min..=max).contains(number))
                .ok_or_else(|| format!("{name} must be a number from {min} to {max}")),
        };
        let count = |name: &str| match param(name) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| format!("{name} must be a whole number, 0 or more")),
        };
        let size = |name: &str| -> Result<Option<usize>, String> {
            Ok(count(name)?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
        };
        let max_tokens = match size("max_completion_tokens")? {
            Some(tokens) => Some(tokens),
            None => size("max_tokens")?,
        };
        if max_tokens == Some(0) {
            return Err("max_tokens must be at least 1".to_owned());
        }
        let top_p = number("top_p", 1.0, 0.0, 1.0)?;
        if top_p == 0.0 {
            return Err("top_p must be above 0".to_owned());
        }
        Ok(Self {
            temperature: number("temperature", 0.0, 0.0, TEMPERATURE_MAX)?,
            top_p,
            top_k: size("top_k")?.unwrap_or(DEFAULT_TOP_K),
            seed: count("seed")?,
            max_tokens,
            stop: stops(param("stop"))?,
            tool_choice: tool_choice(param("tool_choice"))?,
        })
    }
}

fn stops(value: Option<&Value>) -> Result<Vec<String>, String> {
    let wrong = || format!("stop must be a text or up to {STOPS_MAX} texts, none of them empty");
    let texts = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(texts)) if texts.len() <= STOPS_MAX => texts.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    texts.iter().map(text).collect::<Option<_>>().ok_or_else(wrong)
}

fn tool_choice(value: Option<&Value>) -> Result<ToolChoice, String> {
    match value.map(Value::as_str) {
        None | Some(Some("auto")) => Ok(ToolChoice::Auto),
        Some(Some("none")) => Ok(ToolChoice::None),
        Some(Some("required")) => Ok(ToolChoice::Required),
        _ => Err("tool_choice must be auto, none or required".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(params: Value) -> Result<Params, String> {
        Params::read(|name| params.get(name))
    }

    #[test]
    fn parameters_are_read_or_rejected_by_name() {
        let params = read(json!({
            "temperature": 0.7, "top_p": 0.9, "top_k": 0, "seed": 7, "max_tokens": 5,
            "stop": ["a", "b"], "tool_choice": "required", "logprobs": true,
        }));
        let expected = Params {
            temperature: 0.7,
            top_p: 0.9,
            top_k: 0,
            seed: Some(7),
            max_tokens: Some(5),
            stop: vec!["a".to_owned(), "b".to_owned()],
            tool_choice: ToolChoice::Required,
        };
        assert_eq!(params, Ok(expected));
        assert_eq!(
            read(json!({"max_tokens": 5, "max_completion_tokens": 6})).map(|p| p.max_tokens),
            Ok(Some(6))
        );
        assert_eq!(read(json!({"stop": "x"})).map(|params| params.stop), Ok(vec!["x".to_owned()]));
        for (name, wrong) in [
            ("temperature", json!(-1)),
            ("temperature", json!("hot")),
            ("temperature", json!(6)),
            ("top_p", json!(0)),
            ("top_p", json!(1.5)),
            ("top_k", json!(-1)),
            ("seed", json!(1.5)),
            ("max_tokens", json!(0)),
            ("max_completion_tokens", json!("5")),
            ("stop", json!("")),
            ("stop", json!(7)),
            ("stop", json!(["a", 7])),
            ("stop", json!(vec!["x"; STOPS_MAX + 1])),
            ("tool_choice", json!({"type": "function"})),
        ] {
            let rejected = read(json!({name: wrong})).unwrap_err();
            assert!(rejected.contains(name) || name.contains("max_"), "{name}: {rejected}");
        }
    }
}
