//! Tools: the model calls, the program answers, the model goes on.

use std::sync::{Arc, Mutex};

use automation_assistant::{ErrorKind, FnTool, TaskRequest, Tool};
use serde_json::{Value, json};

use crate::support::{Helper, ask, backend, config, gathering};

/// A tool that notes its calls and answers so.
fn weather(
    answer: Result<&'static str, &'static str>,
) -> (impl Tool + 'static, Arc<Mutex<Vec<Value>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = calls.clone();
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": false,
    });
    let tool = FnTool::new("weather", "Tells the weather in a city.", parameters, move |given| {
        noted.lock().unwrap().push(given.clone());
        answer.map(str::to_owned).map_err(str::to_owned)
    });
    (tool, calls)
}

#[test]
fn a_tool_is_called_and_its_result_is_answered_with() {
    let (tool, calls) = weather(Ok("It is raining frogs in Paris."));
    let (deltas, sink) = gathering();
    let task = ask(TaskRequest::new("What is the weather in Paris? Repeat what the tool says.")
        .tool(tool)
        .custom_param("tool_choice", "required")
        .max_output_tokens(200)
        .on_text(sink));
    // The model asks again; the same call is not run twice.
    assert_eq!(*calls.lock().unwrap(), [json!({"city": "Paris"})]);
    let text = task.result.expect("an answer");
    assert!(text.contains("frogs"), "{text}");
    // Of the call nothing is shown.
    assert_eq!(deltas.lock().unwrap().concat(), text);
    // Both replies are counted: the second prompt holds the first.
    let usage = task.usage.unwrap();
    assert!(usage.prompt_tokens > 200 && usage.cached_tokens > Some(90), "{usage:?}");
}

#[test]
fn a_model_that_needs_no_tool_answers_in_text() {
    let (tool, calls) = weather(Ok("sunny"));
    let task = ask(TaskRequest::new("What is the capital of France? Answer in one sentence.")
        .tool(tool)
        .custom_param("tool_choice", "none")
        .max_output_tokens(40));
    assert_eq!(task.result.as_deref(), Some("The capital of France is Paris."));
    assert!(calls.lock().unwrap().is_empty());
}

#[test]
fn a_failing_tool_is_reported_to_the_model() {
    let (tool, calls) = weather(Err("the station is closed"));
    let task = ask(TaskRequest::new("What is the weather in Rome?")
        .tool(tool)
        .custom_param("tool_choice", "required")
        .custom_param("stop", "\n")
        .max_output_tokens(60));
    assert_eq!(calls.lock().unwrap().len(), 1);
    assert!(task.result.is_some(), "{:?}", task.error);
}

#[test]
fn a_model_that_only_calls_runs_out_of_rounds() {
    let (tool, calls) = weather(Ok("ask again"));
    let helper = Helper::new(config().max_tool_rounds(0), backend());
    let request = TaskRequest::new("What is the weather in Rome?").tool(tool);
    let task = helper.ask(request.custom_param("tool_choice", "required"));
    let error = task.error.expect("there was no round left");
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.to_string().contains("max_tool_rounds"), "{error}");
    assert!(calls.lock().unwrap().is_empty());
}

#[test]
fn tools_and_a_schema_go_together() {
    let (tool, calls) = weather(Ok("rain"));
    let (deltas, sink) = gathering();
    let schema = json!({
        "type": "object",
        "properties": {"umbrella": {"type": "boolean"}},
        "required": ["umbrella"],
        "additionalProperties": false,
    });
    let task = ask(TaskRequest::new("Do I need an umbrella in Paris?")
        .tool(tool)
        .reply_schema("umbrella", schema)
        .custom_param("tool_choice", "required")
        .max_output_tokens(300)
        .on_text(sink));
    assert!(!calls.lock().unwrap().is_empty());
    assert_eq!(deltas.lock().unwrap().concat(), *task.result.as_ref().unwrap());
    let reply: Value = task.parse_result().unwrap();
    assert!(reply["umbrella"].is_boolean(), "{reply}");
}
