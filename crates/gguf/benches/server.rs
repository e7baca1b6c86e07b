//! This crate beside llama.cpp's own server over loopback: the same model file, context, one
//! thread, one slot, temperature 0, in turns. `cargo bench --bench server`, with `GGUF_MODEL`
//! and `GGUF_SERVER` (the folder of the server's starter, whose Python process runs it).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use automation_assistant::{
    AutomationAssistantManager, BackendType, HelperConfig, HelperId, TaskRequest,
    create_local_helper,
};
use automation_assistant_gguf::GgufBackend;
use serde_json::{Value, json};

const ROUNDS: usize = 7;
const CONTEXT: u32 = 2048;
const LONG: Duration = Duration::from_secs(300);
const QUESTION: &str = "What is the capital of France? Answer in one sentence.";
const STORY: &str = "What is the capital of France?";
const STORY_TOKENS: u32 = 200;

/// A prompt of some hundred tokens that no cache has.
fn reading(round: usize) -> String {
    let sentence = "The quick brown fox jumps over the lazy dog near the river bank. ";
    format!("Text {round}. {}What is this text about?", sentence.repeat(30))
}

/// The figures of one process.
#[derive(Debug, Default, Clone)]
struct Measured {
    start_ms: f64,
    question_ms: f64,
    first_short_ms: f64,
    first_long_ms: f64,
    tokens_per_s: f64,
    pss_kib: f64,
}

/// One answer: time to its first text, time from there to the end, tokens.
struct Answered {
    first: Duration,
    rest: Duration,
    tokens: u64,
}

trait Side {
    fn ask(&mut self, prompt: &str, max_tokens: u32) -> Answered;
}

/// All but start and memory.
fn measure(side: &mut dyn Side, round: usize, measured: &mut Measured) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let again = side.ask(QUESTION, 40);
    measured.question_ms = ms(again.first + again.rest);
    measured.first_short_ms = ms(side.ask(&format!("Round {round}. Say hello."), 4).first);
    measured.first_long_ms = ms(side.ask(&reading(round), 4).first);
    let story = side.ask(STORY, STORY_TOKENS);
    // The first token's time is the prompt's.
    measured.tokens_per_s = (story.tokens - 1) as f64 / story.rest.as_secs_f64();
}

struct Ours {
    manager: AutomationAssistantManager,
    helper: HelperId,
}

impl Side for Ours {
    fn ask(&mut self, prompt: &str, max_tokens: u32) -> Answered {
        let (texts, first) = channel();
        let begun = Instant::now();
        let request = TaskRequest::new(prompt).max_output_tokens(max_tokens).on_text(move |_| {
            let _ = texts.send(Instant::now());
        });
        let task = self.manager.submit_task(self.helper, request).unwrap();
        let done = self.manager.wait_task(self.helper, task, LONG).unwrap();
        let ended = Instant::now();
        let first = first.recv().unwrap_or(ended);
        let tokens = done.usage.map_or(2, |usage| usage.completion_tokens);
        Answered { first: first - begun, rest: ended - first, tokens }
    }
}

/// The process that is measured for us: answers, reports it, measures, and waits to be measured.
fn child(kind: &str, round: usize) {
    let manager = AutomationAssistantManager::new(1);
    let helper = if kind == "echo" {
        create_local_helper(&manager, "echo").unwrap()
    } else {
        let path = std::env::var_os("GGUF_MODEL").unwrap();
        let builder = GgufBackend::builder(path).threads(1).context_tokens(CONTEXT);
        let config = HelperConfig::new(BackendType::Custom).timeout(LONG);
        manager.spawn_helper_with(config, builder.build().unwrap()).unwrap()
    };
    let mut side = Ours { manager, helper };
    side.ask(QUESTION, 40);
    println!("answered");
    let mut measured = Measured::default();
    measure(&mut side, round, &mut measured);
    println!(
        "{}",
        json!([
            measured.question_ms,
            measured.first_short_ms,
            measured.first_long_ms,
            measured.tokens_per_s
        ])
    );
    let _ = std::io::stdin().read(&mut [0]);
}

fn ours(kind: &str, round: usize) -> Measured {
    let begun = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", kind, &round.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "answered");
    let start_ms = begun.elapsed().as_secs_f64() * 1e3;
    let numbers: Vec<f64> = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let pss_kib = pss_kib(child.id());
    drop(child.stdin.take());
    child.wait().unwrap();
    Measured {
        start_ms,
        question_ms: numbers[0],
        first_short_ms: numbers[1],
        first_long_ms: numbers[2],
        tokens_per_s: numbers[3],
        pss_kib,
    }
}

/// The server's side: a request on a connection of its own, read as it comes.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(folder: &PathBuf) -> Self {
        let starter = std::env::var_os("GGUF_SERVER").expect("GGUF_SERVER: see README");
        let mut process = Command::new("bash")
            .arg(PathBuf::from(starter).join("start-local-llm.sh"))
            .arg(folder)
            .arg("0")
            .envs([("LLM_THREADS", "1"), ("LLM_SLOTS", "1"), ("LLM_TOOLS", "0")])
            .env("LLM_CTX", CONTEXT.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().nth(1).expect("the server must get ready");
        let address = url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        Self { process, address }
    }
}

impl Side for Server {
    fn ask(&mut self, prompt: &str, max_tokens: u32) -> Answered {
        let body = json!({
            "messages": [{"role": "user", "content": prompt}], "temperature": 0, "stream": true,
            "max_tokens": max_tokens, "stream_options": {"include_usage": true},
        })
        .to_string();
        let begun = Instant::now();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        write!(
            stream,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let (mut first, mut tokens) = (None, 0);
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
            let text = event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
            if !text.is_empty() && first.is_none() {
                first = Some(Instant::now());
            }
            tokens = event["usage"]["completion_tokens"].as_u64().unwrap_or(tokens);
        }
        let ended = Instant::now();
        let first = first.unwrap_or(ended);
        Answered { first: first - begun, rest: ended - first, tokens: tokens.max(2) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn server(folder: &PathBuf, round: usize) -> Measured {
    let begun = Instant::now();
    let mut server = Server::start(folder);
    server.ask(QUESTION, 40);
    let mut measured = Measured { start_ms: begun.elapsed().as_secs_f64() * 1e3, ..<_>::default() };
    measure(&mut server, round, &mut measured);
    // The starter's shell has become the server.
    measured.pss_kib = pss_kib(server.process.id());
    measured
}

/// The interpreter with what the server's script imports, and no server.
fn interpreter_pss_kib() -> f64 {
    let script = "import json, os, signal, socket, sys, threading, urllib.request\n\
                  print(); sys.stdin.read()";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let kib = pss_kib(child.id());
    drop(child.stdin.take());
    child.wait().unwrap();
    kib
}

fn pss_kib(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

type Number = fn(&Measured) -> f64;

fn median(all: &[Measured], get: Number) -> f64 {
    let mut numbers: Vec<f64> = all.iter().map(get).collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, kind, round] = arguments.as_slice() {
        assert_eq!(mode, "child");
        return child(kind, round.parse().unwrap());
    }
    let folder = std::env::temp_dir().join("aa-gguf-server");
    // Fetches and installs before anything is measured.
    drop(Server::start(&folder));
    let (mut inside, mut beside) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        inside.push(ours("gguf", round));
        beside.push(server(&folder, round));
    }
    let echo: Vec<_> = (0..ROUNDS).map(|round| ours("echo", round)).collect();
    let python = interpreter_pss_kib();
    println!("median of {ROUNDS}, in turns | inside | server | ratio | echo");
    let rows: [(&str, Number); 6] = [
        ("tokens a second", |m| m.tokens_per_s),
        ("first text, short prompt, ms", |m| m.first_short_ms),
        ("first text, prompt of 450 tokens, ms", |m| m.first_long_ms),
        ("a short answer again, ms", |m| m.question_ms),
        ("start to first answer, ms", |m| m.start_ms),
        ("memory (PSS), KiB", |m| m.pss_kib),
    ];
    for (name, get) in rows {
        let [ours, theirs, echo] = [&inside, &beside, &echo].map(|all| median(all, get));
        println!("{name} | {ours:.1} | {theirs:.1} | {:.2} | {echo:.2}", ours / theirs);
    }
    let (ours, theirs) = (median(&inside, |m| m.pss_kib), median(&beside, |m| m.pss_kib) - python);
    println!(
        "memory without the interpreter's {python:.0} KiB | {ours:.0} | {theirs:.0} | {:.2} |",
        ours / theirs
    );
}
