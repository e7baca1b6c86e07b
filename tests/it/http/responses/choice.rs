//! Which of the two APIs is spoken.

use automation_assistant::{ErrorKind, FnTool, HelperConfig, OpenAiApi, TaskRequest};
use serde_json::json;

use super::{KEY, ask, failure, spawn, text};
use crate::support::server::{Act, Server, answer};

fn auto(server: &Server) -> HelperConfig {
    HelperConfig::chatgpt().api_endpoint(server.base()).api_key(KEY).model("m").max_retries(0)
}

fn with_tool() -> TaskRequest {
    TaskRequest::new("p").tool(FnTool::new("f", "", json!({}), |_| Ok(String::new())))
}

fn rejection(status: u16, error: serde_json::Value) -> Act {
    Act::reply(status, "connection: close\r\n", json!({"error": error}).to_string())
}

/// Errors of servers that offer the model on the other API.
fn wants_responses() -> Vec<(Act, bool)> {
    let bad = "invalid_request_error";
    vec![
        (
            rejection(
                400,
                json!({"message": "Function tools with reasoning_effort are not supported for \
                    gpt-5.6-terra in /v1/chat/completions. To use function tools, use \
                    /v1/responses or set reasoning_effort to 'none'.",
                    "type": bad, "param": "reasoning_effort", "code": null}),
            ),
            true,
        ),
        (
            rejection(
                404,
                json!({"message": "This model is only supported in v1/responses and not in \
                    v1/chat/completions.", "type": bad, "param": "model", "code": null}),
            ),
            true,
        ),
        (
            rejection(
                404,
                json!({"message": "This is not a chat model and thus not supported in the \
                    v1/chat/completions endpoint. Did you mean to use v1/completions?",
                    "type": bad, "param": "model", "code": null}),
            ),
            true,
        ),
        (rejection(404, json!({"message": "no such model", "code": "model_not_found"})), false),
        (rejection(400, json!({"message": "bad field", "type": bad, "param": "x"})), false),
        (rejection(500, json!({"message": "see v1/responses", "type": bad})), false),
    ]
}

#[test]
fn a_server_that_names_responses_gets_the_request_there_once_and_for_all() {
    for (rejected, switches) in wants_responses() {
        let scripts = [
            vec![Act::read(), rejected],
            vec![Act::read(), text("hi"), Act::read(), text("again")],
        ];
        let server = Server::start(scripts);
        let (manager, helper) = spawn(auto(&server));
        let task = ask(&manager, helper, with_tool());
        if switches {
            assert_eq!((task.result.as_deref(), task.attempts), (Some("hi"), 2));
            assert_eq!(task.api, Some(OpenAiApi::Responses));
            let task = ask(&manager, helper, with_tool());
            assert_eq!((task.result.as_deref(), task.attempts), (Some("again"), 1));
            drop(manager);
            let lines: Vec<_> = server.finish().iter().map(|seen| seen.line().to_owned()).collect();
            let paths = ["/v1/chat/completions", "/v1/responses", "/v1/responses"];
            assert_eq!(lines, paths.map(|path| format!("POST {path}")));
        } else {
            assert_eq!((task.is_success(), task.attempts), (false, 1), "{:?}", task.error);
        }
    }
}

#[test]
fn a_server_without_responses_is_asked_the_other_way() {
    // The API for api.openai.com follows from its host; here the setting stands for it.
    let scripts = [
        vec![Act::read(), rejection(404, json!({"message": "Not Found"}))],
        vec![Act::read(), Act::json(200, &answer("hi"))],
    ];
    let server = Server::start(scripts);
    let config = auto(&server).api_endpoint(format!("{}/responses", server.base()));
    let (manager, helper) = spawn(config);
    // A full URL decides: no other way is tried.
    let task = ask(&manager, helper, "p");
    assert_eq!((failure(&task).kind(), task.attempts), (ErrorKind::NotFound, 1));
    drop(manager);
    assert_eq!(server.seen()[0].line(), "POST /v1/responses");
}

#[test]
fn if_both_fail_the_first_word_stands() {
    let (first, _) = wants_responses().remove(0);
    let second = rejection(404, json!({"message": "nothing here"}));
    let server = Server::start([vec![Act::read(), first], vec![Act::read(), second]]);
    let (manager, helper) = spawn(auto(&server));
    let task = ask(&manager, helper, with_tool());
    assert_eq!((failure(&task).status(), task.attempts), (Some(400), 2));
    assert!(failure(&task).message().contains("use /v1/responses"), "{:?}", task.error);
}

#[test]
fn a_parameter_that_chat_alone_has_keeps_to_chat() {
    let (rejected, _) = wants_responses().remove(0);
    let server = Server::start([vec![Act::read(), rejected]]);
    let (manager, helper) = spawn(auto(&server).custom_param("seed", 1));
    let task = ask(&manager, helper, with_tool());
    assert_eq!((failure(&task).kind(), task.attempts), (ErrorKind::InvalidRequest, 1));
}

#[test]
fn elsewhere_chat_is_spoken_and_a_setting_decides() {
    for (api, reply, path) in [
        (None, Act::json(200, &answer("hi")), "/v1/chat/completions"),
        (Some(OpenAiApi::Auto), Act::json(200, &answer("hi")), "/v1/chat/completions"),
        (Some(OpenAiApi::ChatCompletions), Act::json(200, &answer("hi")), "/v1/chat/completions"),
        (Some(OpenAiApi::Responses), text("hi"), "/v1/responses"),
    ] {
        let server = Server::start([vec![Act::read(), reply]]);
        for base in [auto(&server), HelperConfig::local().api_endpoint(server.base()).model("m")] {
            let config = match api {
                Some(api) => base.openai_api(api),
                None => base,
            };
            let server = Server::start([vec![
                Act::read(),
                if path.ends_with("responses") {
                    text("hi")
                } else {
                    Act::json(200, &answer("hi"))
                },
            ]]);
            let (manager, helper) = spawn(config.api_endpoint(server.base()));
            let task = ask(&manager, helper, "p");
            assert_eq!(task.result.as_deref(), Some("hi"));
            drop(manager);
            assert_eq!(server.finish()[0].line(), format!("POST {path}"));
        }
    }
}
