//! Names of tools and reply schemas: what no provider takes is rejected at submission.

use std::sync::Arc;

use automation_assistant::{
    AutomationAssistantManager, Error, FnTool, HelperConfig, TaskRequest, Tool,
};
use serde_json::{Value, json};

fn tool(name: &str) -> FnTool<impl Fn(&Value) -> Result<String, String> + Send + Sync + use<>> {
    FnTool::new(name, "", json!({"type": "object"}), |_| Ok(String::new()))
}

/// Why a helper rejects the request; nothing if it takes it.
fn fault(request: TaskRequest) -> String {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn(HelperConfig::local()).unwrap();
    match helper.ask(request) {
        Ok(task) => {
            assert!(task.is_success());
            String::new()
        }
        Err(Error::InvalidRequest(why)) => why,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_name_that_some_provider_refuses_is_rejected_at_submission_in_words_that_help() {
    let (longest, too_long) = ("n".repeat(64), "n".repeat(65));
    let letters = "letters, digits, _ and -";
    let rows: [(&[&str], &str); 10] = [
        (&["read_clock", "Read-Clock", "7"], ""),
        (&[&longest], ""),
        (&[&too_long], letters),
        (&[""], letters),
        (&["read clock"], letters),
        (&["clock.read"], letters),
        (&["w\u{e4}rme"], letters),
        (&["a", "b", "a"], "two tools are called a: rename one"),
        (&["a", "A"], ""),
        (&["a b", "c", "c"], "\"a b\""),
    ];
    for (names, expected) in rows {
        let request =
            names.iter().fold(TaskRequest::new("p"), |request, name| request.tool(tool(name)));
        let found = fault(request.clone());
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
        assert_eq!(fault(request), found, "a clone");
    }
}

#[test]
fn the_name_of_a_reply_schema_follows_the_same_rule_and_may_be_corrected() {
    let request = TaskRequest::new("p").reply_schema("two words", json!({}));
    let json = r#"{"prompt":"p","reply_schema":{"name":"two words","schema":{}}}"#;
    for request in [request.clone(), serde_json::from_str(json).unwrap()] {
        assert!(fault(request).contains("\"two words\" of a reply_schema"));
    }
    assert_eq!(fault(request.reply_schema("words", json!({}))), "");
}

#[test]
fn a_tool_that_panics_when_it_is_named_ends_no_program() {
    struct Nameless;
    impl Tool for Nameless {
        fn name(&self) -> &str {
            panic!("on purpose")
        }
        fn description(&self) -> &str {
            ""
        }
        fn parameters(&self) -> Value {
            json!({})
        }
        fn call(&self, _: &Value) -> Result<String, String> {
            Ok(String::new())
        }
    }
    let request = TaskRequest::new("p").shared_tool(Arc::new(Nameless));
    assert!(fault(request).contains("a tool panicked"));
}
