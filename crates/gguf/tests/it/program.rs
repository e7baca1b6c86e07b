//! The example program as a user runs it.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::model;

/// An example, built by the same `cargo test`.
fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join(name));
    command.env_remove("OPENAI_API_KEY").env_remove("GGUF_MODEL");
    command
}

fn offline_chat() -> Command {
    example("offline_chat")
}

#[test]
fn without_a_cloud_the_model_inside_answers() {
    let prompt = "What is the capital of France? Answer in one sentence.";
    let output = example("hybrid").arg(model()).arg(prompt).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "The capital of France is Paris.\n");
    let named = String::from_utf8(output.stderr).unwrap();
    assert!(named.contains("GGUF (SmolLM2-135M-Instruct.Q4_1)"), "{named}");
}

#[test]
fn the_answer_alone_is_printed() {
    let output = offline_chat()
        .arg(model())
        .arg("What is the capital of France? Answer in one sentence.")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "The capital of France is Paris.\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn without_a_prompt_it_goes_on_asking() {
    let mut child = offline_chat()
        .env("GGUF_MODEL", model())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"My name is Ada.\n\nWhat is my name?\n").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() >= 2 && text.contains("Ada"), "{text}");
}

#[test]
fn a_file_that_is_no_model_is_an_error() {
    let output = offline_chat().arg("/proc/self/exe.gguf").arg("hi").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("exe.gguf"));
}
