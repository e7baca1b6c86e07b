//! Damaged files up to llama.cpp itself, each in a process of its own: what the header's check
//! lets through must be loaded or rejected, and not end the process.
//!
//! `GGUF_HOSTILE_CASES` and `GGUF_HOSTILE_FROM` choose how many, and which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]
#![allow(clippy::print_stdout)]

#[path = "support/tiny.rs"]
#[allow(dead_code)]
mod tiny;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, BackendType, HelperConfig, TaskRequest};
use automation_assistant_gguf::{GgufBackend, Header};
use tiny::{Tiny, damaged};

/// Names the file to the process that loads it.
const FILE: &str = "GGUF_HOSTILE_FILE";
const TIME: Duration = Duration::from_secs(20);

/// Loads the file and asks it something; an error is as good as an answer.
#[test]
fn child() {
    let Some(file) = std::env::var_os(FILE) else { return };
    println!("{}", loaded(Path::new(&file)));
}

fn loaded(file: &Path) -> &'static str {
    let Ok(backend) = GgufBackend::builder(file).threads(1).build() else { return "rejected" };
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::new(BackendType::Custom).timeout(TIME);
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    let request = TaskRequest::new("hi").max_output_tokens(3);
    let task = manager.submit_task(helper, request).unwrap();
    match manager.wait_task(helper, task, TIME * 2).unwrap().error {
        None => "answered",
        Some(_) => "failed",
    }
}

/// The end of a file in a process of its own: its last word, or the signal that ended it.
fn outcome(file: &Path) -> Result<String, i32> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(FILE, file)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    match output.status.signal() {
        Some(signal) => Err(signal),
        None => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn what_the_check_lets_through_ends_no_process() {
    let folder = std::env::temp_dir().join(format!("aa-gguf-hostile-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let file = folder.join("model.gguf");
    let (bytes, header) = Tiny::new().bytes();
    fs::write(&file, &bytes).unwrap();
    assert!(outcome(&file).unwrap().contains("answered"), "the whole file must be a model");
    let first = number("GGUF_HOSTILE_FROM", 0);
    let (mut tried, mut answered, mut ended) = (0, 0, Vec::new());
    for case in first..first + number("GGUF_HOSTILE_CASES", 2000) {
        let damaged = damaged(&bytes, header, case);
        if Header::read(damaged.as_slice(), damaged.len() as u64).is_err() {
            continue;
        }
        tried += 1;
        fs::write(&file, &damaged).unwrap();
        match outcome(&file) {
            Ok(word) => answered += u64::from(word.contains("answered")),
            Err(signal) => {
                ended.push((case, signal));
                fs::copy(&file, std::env::temp_dir().join(format!("aa-gguf-case-{case}"))).unwrap();
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    println!("{tried} files let through, {answered} answered, ended by a signal: {ended:?}");
    assert!(ended.is_empty(), "{ended:?}");
}
