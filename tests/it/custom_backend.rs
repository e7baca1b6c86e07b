//! The values that a custom backend reads from its call.

use std::time::Duration;

use automation_assistant::{
    AiBackend, AutomationAssistantManager, BackendType, CallContext, FnTool, HelperConfig, Reply,
    Task, TaskError, TaskRequest,
};
use serde_json::json;

/// Answers with all facts of its call, one line each.
struct DescribesCall;

impl AiBackend for DescribesCall {
    fn name(&self) -> &str {
        "Describes"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let tool = |name: &str, arguments| format!("{:?}", call.run_tool(name, arguments));
        let lines = [
            format!("{:?}", call.param("temperature").map(ToString::to_string)),
            format!("{:?}", call.param("seed").map(ToString::to_string)),
            format!("{:?}", call.param("stop").map(ToString::to_string)),
            format!("{:?} {}", call.max_output_tokens(), call.max_tool_rounds()),
            tool("echo", r#"{"a":1}"#),
            tool("echo", ""),
            tool("echo", r#"{"long":"0123456789"}"#),
            tool("echo", "7"),
            tool("breaks", "{}"),
            tool("nope", "{}"),
        ];
        Ok(Reply::new(lines.join("\n")))
    }
}

fn description(config: HelperConfig, request: TaskRequest) -> Vec<String> {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper_with(config, DescribesCall).unwrap();
    let task = manager.submit_task(helper, request).unwrap();
    let Task { result, .. } = manager.wait_task(helper, task, Duration::from_secs(30)).unwrap();
    result.unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_call_knows_its_parameters_and_runs_its_tools() {
    let echo = FnTool::new("echo", "", json!({}), |arguments| Ok(arguments.to_string()));
    let breaks = FnTool::new("breaks", "", json!({}), |_| panic!("on purpose"));
    let config = HelperConfig::new(BackendType::Custom)
        .custom_param("temperature", 0.5)
        .custom_param("seed", 7)
        .max_output_tokens(10)
        .max_tool_rounds(3)
        .max_tool_output_bytes(12);
    let request = TaskRequest::new("describe")
        .custom_param("temperature", 1)
        .max_output_tokens(20)
        .tool(std::sync::Arc::new(echo))
        .tool(breaks);
    let cut = "[cut: the output was longer]";
    let expected = [
        r#"Some("1")"#.to_owned(),
        r#"Some("7")"#.to_owned(),
        "None".to_owned(),
        "Some(20) 3".to_owned(),
        r#"Ok("{\"a\":1}")"#.to_owned(),
        r#"Ok("{}")"#.to_owned(),
        format!(r#"Ok("{{\"long\":\"012 {cut}")"#),
        format!(r#"Err("error: the a {cut}")"#),
        format!(r#"Err("error: the t {cut}")"#),
        format!(r#"Err("error: there {cut}")"#),
    ];
    assert_eq!(description(config.clone(), request), expected);
    let plain = description(config, TaskRequest::new("describe"));
    assert_eq!((plain[0].as_str(), plain[3].as_str()), (r#"Some("0.5")"#, "Some(10) 3"));
}
