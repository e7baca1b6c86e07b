//! Custom parameters: which are rejected, and how they go together with what a request's own methods
//! set.

use automation_assistant::{
    AutomationAssistantManager, Error, EventKind, FnTool, HelperConfig, OpenAiApi, TaskRequest,
};
use serde_json::{Value, json};

use super::{KEY, ask, spawn};
use crate::support::server::{Act, Server, answer, answers};
use crate::support::{FnBackend, Notes, one_helper};

/// Every provider behind HTTP, and a reply of its protocol.
fn providers() -> [(HelperConfig, String); 5] {
    let text = json!([{"type": "output_text", "text": "fine"}]);
    let response = json!({"status": "completed", "output": [{"type": "message", "content": text}]});
    let message = json!({"type": "message", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "fine"}]});
    [
        (HelperConfig::chatgpt(), answer("fine")),
        (HelperConfig::chatgpt().openai_api(OpenAiApi::Responses), response.to_string()),
        (HelperConfig::local(), answer("fine")),
        (HelperConfig::comet(), answer("fine")),
        (HelperConfig::anthropic(), message.to_string()),
    ]
    .map(|(config, reply)| (config.model("m").api_key(KEY).max_retries(0), reply))
}

#[test]
fn a_parameter_that_cannot_be_sent_is_rejected_where_it_is_given() {
    let rows = [
        ("messages", json!([]), "the request's own methods"),
        ("input", json!("text"), "the request's own methods"),
        ("stream", json!(false), "the request's own methods"),
        ("n", json!(3), "a task has one answer"),
        ("n", json!("3"), "a task has one answer"),
        ("tools", json!({}), "a list"),
    ];
    for (config, _) in providers() {
        let (server, notes) = (Server::start([]), Notes::new());
        let manager = AutomationAssistantManager::builder().observer(notes.clone()).build();
        let manager = manager.unwrap();
        let config = config.api_endpoint(server.base());
        let helper = manager.spawn(config.clone()).unwrap();
        for (key, value, word) in &rows {
            let spawned = manager.spawn(config.clone().custom_param(*key, value.clone()));
            let Err(Error::InvalidConfig(why)) = spawned else { panic!("{spawned:?}") };
            assert!(why.contains(key) && why.contains(word), "{why}");
            for request in [TaskRequest::new("p"), TaskRequest::new("p").on_text(|_| {})] {
                let submitted = helper.submit_task(request.custom_param(*key, value.clone()));
                let Err(Error::InvalidRequest(why)) = submitted else { panic!("{submitted:?}") };
                assert!(why.contains(key) && why.contains(word), "{why}");
            }
        }
        assert_eq!(manager.helper_count(), 1);
        drop(manager);
        assert_eq!((server.connections(), notes.of(EventKind::BackendCall).len()), (0, 0));
    }
}

#[test]
fn one_answer_may_be_asked_for_and_a_backend_of_ones_own_gets_every_parameter() {
    let server = Server::start([answers("fine")]);
    let config = HelperConfig::chatgpt().api_endpoint(server.base()).custom_param("n", 1);
    let (manager, helper) = spawn(config);
    assert!(ask(&manager, helper, "p").is_success());
    drop(manager);
    assert_eq!(server.finish()[0].json()["n"], 1);

    let backend = FnBackend(|call: &automation_assistant::CallContext<'_>| {
        let params = serde_json::to_string(call.request().get_custom_params());
        Ok(automation_assistant::Reply::new(params.unwrap()))
    });
    let (manager, helper) = one_helper(HelperConfig::chatgpt(), backend);
    let request = TaskRequest::new("p").custom_param("n", 3).custom_param("stream", true);
    let task = ask(&manager, helper, request);
    assert_eq!(task.result.as_deref(), Some(r#"{"n":3,"stream":true}"#));
}

#[test]
fn the_tools_of_a_parameter_are_sent_before_the_request_s_own() {
    let theirs = json!({"type": "web_search", "name": "search"});
    let own = || FnTool::new("mine", "Own.", json!({}), |_| Ok(String::new()));
    for (config, reply) in providers() {
        let script = (0..4).flat_map(|_| [Act::read(), Act::json(200, &reply)]).collect();
        let server = Server::start([script]);
        let config = config.api_endpoint(server.base()).custom_param("tools", json!([theirs]));
        let (manager, helper) = spawn(config);
        let other = json!([{"type": "other"}, {"type": "third"}]);
        for request in [
            TaskRequest::new("p"),
            TaskRequest::new("p").tool(own()),
            TaskRequest::new("p").tool(own()).custom_param("tools", other),
            TaskRequest::new("p").tool(own()).custom_param("tools", json!([])),
        ] {
            assert_eq!(ask(&manager, helper, request).result.as_deref(), Some("fine"));
        }
        drop(manager);
        let sent: Vec<Value> = server.finish().iter().map(|seen| seen.json()).collect();
        let name = |tool: &Value| {
            let name = tool.get("name").or(tool["function"].get("name"));
            name.unwrap_or(&tool["type"]).as_str().unwrap().to_owned()
        };
        let names = sent.iter().map(|body| body["tools"].as_array().unwrap().iter().map(name));
        let names: Vec<Vec<_>> = names.map(Iterator::collect).collect();
        let expected =
            [vec!["search"], vec!["search", "mine"], vec!["other", "third", "mine"], vec!["mine"]];
        assert_eq!(names, expected);
        assert_eq!((&sent[0]["tools"][0], &sent[1]["tools"][0]), (&theirs, &theirs));
    }
}
