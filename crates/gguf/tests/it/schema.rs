//! Replies that follow a schema, whatever the model would like.

use automation_assistant::{ErrorKind, FinishReason, TaskRequest};
use automation_assistant_gguf::GgufBackend;
use serde_json::{Value, json};

use crate::support::{Helper, answer, ask, config, gathering, model};

fn city() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "kind": {"enum": ["capital", "town"]},
            "population_millions": {"type": "integer", "minimum": 0, "maximum": 40},
            "landmarks": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 3},
        },
        "required": ["city", "kind", "population_millions", "landmarks"],
        "additionalProperties": false,
    })
}

/// Whether a reply is what [`city`] asks for.
fn follows(reply: &Value) -> bool {
    let Some(object) = reply.as_object() else { return false };
    let short = |value: &Value| value.as_str().is_some_and(|text| text.chars().count() <= 20);
    let landmarks = reply["landmarks"].as_array();
    object.len() == 4
        && short(&reply["city"])
        && ["capital", "town"].contains(&reply["kind"].as_str().unwrap_or_default())
        && reply["population_millions"].as_u64().is_some_and(|number| number <= 40)
        && landmarks.is_some_and(|list| list.len() <= 3 && list.iter().all(short))
}

#[test]
fn a_schema_is_followed_twenty_times_of_twenty() {
    for seed in 0..20 {
        let request = TaskRequest::new("Tell me about a city.")
            .reply_schema("city", city())
            .custom_param("temperature", 1.5)
            .custom_param("seed", seed)
            .max_output_tokens(200);
        let task = ask(request);
        assert_eq!(task.finish_reason, Some(FinishReason::Stop), "{:?}", task.error);
        let reply: Value = task.parse_result().unwrap();
        assert!(follows(&reply), "{reply}");
    }
}

#[test]
fn characters_of_many_tokens_are_streamed_whole() {
    let text = "naïve 👍🏽 €";
    let (deltas, sink) = gathering();
    let request =
        TaskRequest::new("Greet.").reply_schema("text", json!({"const": text})).on_text(sink);
    assert_eq!(serde_json::from_str::<Value>(&answer(request)).unwrap(), text);
    let deltas = deltas.lock().unwrap();
    assert!(deltas.len() > 3, "{deltas:?}");
    assert!(deltas.iter().all(|delta| !delta.contains('\u{fffd}')), "{deltas:?}");
}

#[test]
fn a_schema_that_is_none_is_rejected() {
    for wrong in [json!({"type": "nonsense"}), json!({"$ref": "#/nowhere"})] {
        let task = ask(TaskRequest::new("hi").reply_schema("wrong", wrong));
        let error = task.error.expect("the schema must be rejected");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    }
}

#[test]
fn a_chain_of_references_overflows_no_stack() {
    // The schema is in the prompt, too.
    let backend = GgufBackend::builder(model()).threads(1).context_tokens(4_096).build().unwrap();
    let helper = Helper::new(config(), backend);
    let chain =
        |links: usize| {
            let link = |n: usize| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)}));
            let mut defs: serde_json::Map<_, _> = (1..links).map(link).collect();
            defs.insert(format!("d{links}"), json!({"const": 1}));
            let request = TaskRequest::new("One?").reply_schema("chain", json!({
            "type": "object", "properties": {"n": {"$ref": "#/$defs/d1"}}, "required": ["n"],
            "additionalProperties": false, "$defs": defs,
        }));
            helper.ask(request.max_output_tokens(20))
        };
    assert_eq!(chain(64).result.as_deref(), Some(r#"{"n": 1}"#));
    for links in [65, 5_000] {
        let error = chain(links).error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.to_string().contains("64 is the most"), "{error}");
    }
}

#[test]
fn a_reply_cut_by_its_limit_says_so() {
    let request = TaskRequest::new("Tell me about a city.").reply_schema("city", city());
    let task = ask(request.max_output_tokens(5));
    assert_eq!(task.finish_reason, Some(FinishReason::Length));
    assert!(task.parse_result::<Value>().is_err());
}
