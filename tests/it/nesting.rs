//! JSON nested without end is refused where it enters; it never ends the process.

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Error, HelperConfig, TaskRequest, Together, Want,
};
use serde_json::Value;

use crate::support::LONG;

/// More levels than fit any stack.
const DEEP: usize = 100_000;
/// As deep as it may be, and one level more.
const BOUND: usize = 128;

/// A value of this many levels. (`json!` would copy it, by recursion.)
fn nested(levels: usize) -> Value {
    let object = |inner| Value::Object([("k".to_owned(), inner)].into_iter().collect());
    let array = |inner| Value::Array(vec![inner]);
    (1..levels).fold(Value::Null, |inner, level| match level % 2 {
        0 => object(inner),
        _ => array(inner),
    })
}

fn pair(levels: usize) -> [(String, Value); 1] {
    [("k".to_owned(), nested(levels))]
}

#[test]
fn a_configuration_takes_json_to_the_bound_and_no_deeper() {
    let settings: [fn(HelperConfig, usize) -> HelperConfig; 2] = [
        |config, levels| config.custom_param("k", nested(levels)),
        |config, levels| config.custom_params(pair(levels)),
    ];
    for set in settings {
        let make = |levels| AutomationHelper::new(set(HelperConfig::local(), levels));
        assert!(make(BOUND).is_ok());
        for levels in [BOUND + 1, DEEP] {
            let error = make(levels).unwrap_err();
            assert!(matches!(error, Error::InvalidConfig(_)), "{error:?}");
            assert!(error.to_string().contains("custom_param is nested deeper than 128"));
        }
    }
    let text = format!(
        r#"{{"backend_type":"local","custom_params":{{"k":{}{}}}}}"#,
        "[".repeat(DEEP),
        "]".repeat(DEEP)
    );
    assert!(serde_json::from_str::<HelperConfig>(&text).is_err());
}

#[test]
fn a_request_takes_json_to_the_bound_and_no_deeper() {
    let manager = AutomationAssistantManager::new(1);
    let id = manager.spawn_helper(HelperConfig::local()).unwrap();
    type Set = fn(TaskRequest, usize) -> TaskRequest;
    let settings: [(&str, Set); 4] = [
        ("the context", |request, levels| request.context("k", nested(levels))),
        ("the context", |request, levels| request.context_map(pair(levels))),
        ("a custom_param", |request, levels| request.custom_param("k", nested(levels))),
        ("the reply_schema", |request, levels| request.reply_schema("n", nested(levels))),
    ];
    for (what, set) in settings {
        let request = |levels| set(TaskRequest::new("x"), levels);
        let fits = manager.submit_task(id, request(BOUND)).unwrap();
        assert!(manager.wait_task(id, fits, LONG).unwrap().is_success());
        for levels in [BOUND + 1, DEEP] {
            let error = manager.submit_task(id, request(levels)).unwrap_err();
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
            assert!(error.to_string().contains(what), "{error}");
            // Calls that copy the request before it is validated.
            let answers = Together::new(&manager).fan_out(&[id], &request(levels), Want::All);
            let outcome = answers.unwrap().pop().unwrap().outcome;
            assert!(matches!(outcome, Err(Error::InvalidRequest(_))));
        }
    }
}

#[cfg(feature = "http")]
#[test]
fn a_tool_whose_schema_is_too_deep_ends_the_task_before_anything_is_sent() {
    use automation_assistant::{ErrorKind, FnTool, Tool};

    /// Makes its schema anew each time.
    struct Deep(usize);

    impl Tool for Deep {
        fn name(&self) -> &str {
            "deep"
        }

        fn description(&self) -> &str {
            ""
        }

        fn parameters(&self) -> Value {
            nested(self.0)
        }

        fn call(&self, _: &Value) -> Result<String, String> {
            Ok(String::new())
        }
    }

    // Nobody listens there: what gets so far fails otherwise.
    let config = HelperConfig::local().api_endpoint("http://127.0.0.1:1/v1").model("m");
    let helper = AutomationHelper::new(config.max_retries(0)).unwrap();
    helper.start().unwrap();
    let made = |levels| FnTool::new("deep", "", nested(levels), |_| Ok(String::new()));
    for (levels, kind) in [
        (BOUND, ErrorKind::Network),
        (BOUND + 1, ErrorKind::InvalidRequest),
        (DEEP, ErrorKind::InvalidRequest),
    ] {
        let requests =
            [TaskRequest::new("x").tool(Deep(levels)), TaskRequest::new("x").tool(made(levels))];
        for request in requests {
            let id = helper.submit_task(request).unwrap();
            let error = helper.wait_task(id, LONG).unwrap().error.unwrap();
            assert_eq!(error.kind(), kind, "{error}");
            let says = error.summary().contains("tool deep");
            assert_eq!(says, kind == ErrorKind::InvalidRequest, "{error}");
        }
    }
}
