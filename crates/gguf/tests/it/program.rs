//! The example program as a user runs it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::{LONG, model};

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

/// A cloud that answers one request, and returns its bytes.
#[cfg(feature = "cloud")]
fn cloud(listener: std::net::TcpListener) -> std::io::Result<usize> {
    use std::io::{BufRead, BufReader};
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(LONG))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let message = r#"{"role":"assistant","content":"It is about a fox."}"#;
    let body = format!(
        r#"{{"id":"1","model":"m","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#
    );
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(length)
}

#[cfg(feature = "cloud")]
#[test]
fn a_prompt_too_long_for_the_model_inside_goes_to_the_cloud() {
    let prompt = crate::support::long_prompt(3000);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = thread::spawn(move || cloud(listener));
    let output = example("hybrid")
        .env("OPENAI_API_KEY", "sk-test")
        .env("OPENAI_BASE_URL", url)
        .arg(model())
        .arg(&prompt)
        .output()
        .unwrap();
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "It is about a fox.\n");
    assert!(notes.contains("the context holds 2048") && notes.contains("[ChatGPT"), "{notes}");
    assert!(server.join().unwrap().unwrap() > prompt.len());
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

/// A stream of the program as it is written; ends where the stream does.
fn reading(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, texts) = channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            if sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).is_err() {
                return;
            }
        }
    });
    texts
}

/// Reads on until this is written.
fn wait_for(texts: &Receiver<String>, wanted: &str) {
    let mut text = String::new();
    while !text.contains(wanted) {
        let more = texts.recv_timeout(LONG);
        text += &more.unwrap_or_else(|_| panic!("{wanted:?} must be written, not {text:?}"));
    }
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
    assert!(sent.unwrap().success());
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_program() {
    let mut child = offline_chat()
        .arg(model())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let answers = reading(child.stdout.take().unwrap());
    let notes = reading(child.stderr.take().unwrap());
    // The answer to this goes round in circles until its 512 tokens are used up.
    input.write_all(b"What is the capital of France?\n").unwrap();
    answers.recv_timeout(LONG).expect("the first text must come");
    interrupt(&child);
    wait_for(&notes, "cancelled");
    // Without an answer in the making, too.
    interrupt(&child);
    wait_for(&notes, "Ctrl-D ends the program");
    while answers.try_recv().is_ok() {}
    input.write_all(b"What is the capital of Italy? Answer in one sentence.\n").unwrap();
    wait_for(&answers, "Rome");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_file_that_is_no_model_is_an_error() {
    let output = offline_chat().arg("/proc/self/exe.gguf").arg("hi").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("exe.gguf"));
}
