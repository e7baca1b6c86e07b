//! Answers: right ones, streamed ones, several at once, and what they count.

use automation_assistant::{FinishReason, Role, TaskRequest};
use automation_assistant_gguf::GgufBackend;

use crate::support::{Helper, answer, ask, backend, config, fresh_backend, gathering, model};

const PARIS: &str = "What is the capital of France? Answer in one sentence.";

#[test]
fn facts_are_right_at_temperature_zero() {
    for (prompt, expected) in [
        (PARIS, "Paris"),
        ("What is the capital of Italy? Answer in one sentence.", "Rome"),
        ("How many days are in a week? Answer in one sentence.", "7 days"),
    ] {
        let text = answer(TaskRequest::new(prompt).max_output_tokens(40));
        assert!(text.contains(expected), "{prompt} {text}");
    }
}

#[test]
fn tokens_are_counted_exactly() {
    // 42 and 8 are what llama.cpp's own server counts for this conversation.
    let task = ask(PARIS);
    assert_eq!(task.result.as_deref(), Some("The capital of France is Paris."));
    assert_eq!(task.finish_reason, Some(FinishReason::Stop));
    assert_eq!(task.model.as_deref(), Some("SmolLM2-135M-Instruct.Q4_1"));
    let usage = task.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (42, 8));
    assert_eq!(usage.total_tokens, 50);
    // A limit is met to the token.
    for max in [1, 7] {
        let cut = ask(TaskRequest::new(PARIS).max_output_tokens(max));
        assert_eq!(cut.usage.unwrap().completion_tokens, u64::from(max));
        assert_eq!(cut.finish_reason, Some(FinishReason::Length));
        let same = ask(TaskRequest::new(PARIS).custom_param("max_tokens", max));
        assert_eq!(same.result, cut.result);
    }
}

#[test]
fn a_streamed_answer_is_the_whole_one() {
    let prompt = "Write two sentences about the sea.";
    let (deltas, sink) = gathering();
    let request = || TaskRequest::new(prompt).max_output_tokens(60).custom_param("seed", 1);
    let streamed = answer(request().on_text(sink));
    let deltas = deltas.lock().unwrap();
    assert!(deltas.len() > 10, "{deltas:?}");
    assert_eq!(deltas.concat(), streamed);
    assert_eq!(answer(request()), streamed);
}

#[test]
fn instructions_context_and_turns_reach_the_model() {
    let plain = ask(TaskRequest::new(PARIS).max_output_tokens(1)).usage.unwrap().prompt_tokens;
    let tokens =
        |request: TaskRequest| ask(request.max_output_tokens(1)).usage.unwrap().prompt_tokens;
    // The template's own instructions are replaced by shorter ones.
    assert!(tokens(TaskRequest::new(PARIS).system_prompt("Be brief.")) < plain);
    let greeting = || TaskRequest::new("Say hello to me by my name.").max_output_tokens(16);
    let request = greeting()
        .turn(Role::User, "Hello, I am Ada.")
        .turn(Role::Assistant, "Hello, Ada! How can I help you?");
    assert!(answer(request).contains("Ada"));
    let request = greeting().system_prompt("The user's name is Grace. Greet her by name.");
    assert!(answer(request).contains("Grace"));
    let request = TaskRequest::new("What is my name?").context("user_name", "Grace");
    assert!(answer(request.max_output_tokens(16)).contains("Grace"));
}

#[test]
fn four_tasks_at_once_are_answered_as_each_alone() {
    let prompts = [
        PARIS,
        "Name three colors.",
        "What is the capital of Italy? Answer in one sentence.",
        "Write one sentence about the sea.",
    ];
    let request =
        |prompt: &str| TaskRequest::new(prompt).max_output_tokens(30).custom_param("seed", 1);
    let alone: Vec<_> = prompts.iter().map(|prompt| answer(request(prompt))).collect();
    let helper = Helper::new(config().max_concurrent_tasks(4), backend());
    let tasks: Vec<_> = prompts
        .iter()
        .map(|prompt| helper.manager.submit_task(helper.id, request(prompt)).unwrap())
        .collect();
    let at_once: Vec<_> = tasks
        .into_iter()
        .map(|task| helper.manager.wait_task(helper.id, task, crate::support::LONG).unwrap())
        .map(|task| task.result.unwrap())
        .collect();
    assert_eq!(at_once, alone);
}

#[test]
fn what_a_context_still_has_is_used_again() {
    let helper = Helper::new(config(), fresh_backend());
    let instructions = "Here are some facts. The sun is a star. Water boils at 100 degrees. Cats \
        are mammals. The moon circles the earth. Ice is frozen water. Bees make honey.";
    let ask = |request: TaskRequest| {
        let task = helper.ask(request.system_prompt(instructions).max_output_tokens(24));
        let usage = task.usage.unwrap();
        (task.result.unwrap(), usage.prompt_tokens, usage.cached_tokens.unwrap())
    };
    let bees = || TaskRequest::new("What do bees make?");
    let (_, _, cached) = ask(TaskRequest::new("Is the sun a star?"));
    assert_eq!(cached, 0);
    // The instructions are there; then all but the last token.
    let (first, prompt, cached) = ask(bees());
    assert!((30..prompt - 5).contains(&cached), "{cached} of {prompt}");
    let (again, prompt, cached) = ask(bees());
    assert_eq!(cached, prompt - 1);
    // The answer is there, too, when the conversation goes on.
    let (_, _, cached) = ask(TaskRequest::new("And cats?")
        .turn(Role::User, "What do bees make?")
        .turn(Role::Assistant, again.clone()));
    assert!(cached > prompt + 5, "{cached} after {prompt}");
    // A seed asks for all of it afresh, and so repeats to the letter.
    let (seeded, _, cached) = ask(bees().custom_param("seed", 1));
    assert_eq!(cached, 0);
    assert_eq!(ask(bees().custom_param("seed", 1)).0, seeded);
    assert!(first.to_lowercase().contains("bee"), "{first}");
}

#[test]
fn a_seed_repeats_an_answer_and_temperature_varies_it() {
    let drawn = |seed: u64| {
        let request = TaskRequest::new("Tell me about a random animal.").max_output_tokens(24);
        answer(request.custom_param("temperature", 1.2).custom_param("seed", seed))
    };
    assert_eq!(drawn(1), drawn(1));
    assert!((2..8).any(|seed| drawn(seed) != drawn(1)));
    // The builder's does so, too.
    let backend = GgufBackend::builder(model()).threads(1).seed(1).build().unwrap();
    let helper = Helper::new(config(), backend);
    for _ in 0..3 {
        let request = TaskRequest::new("Tell me about a random animal.").max_output_tokens(24);
        let task = helper.ask(request.custom_param("temperature", 1.2));
        assert_eq!(task.usage.unwrap().cached_tokens, Some(0));
        assert_eq!(task.result, Some(drawn(1)));
    }
}

#[test]
fn a_stop_text_ends_the_answer_before_it() {
    let request = TaskRequest::new(PARIS).custom_param("stop", " Paris");
    let (deltas, sink) = gathering();
    let task = ask(request.on_text(sink));
    assert_eq!(task.result.as_deref(), Some("The capital of France is"));
    assert_eq!(task.finish_reason, Some(FinishReason::Stop));
    assert_eq!(deltas.lock().unwrap().concat(), "The capital of France is");
}
