//! A disk that is full, under one writer and under two.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use automation_assistant::{Debrief, HelperConfig, Telemetry};
use serde_json::Value;

use super::kill::{CHILD_TASKS_MAX, child_process};
use super::{Folder, events, lines, log, manager, run_tasks};

#[test]
fn a_full_disk_fails_no_task_and_is_counted() {
    let telemetry = Telemetry::to_file("/dev/full").unwrap();
    log(&telemetry, 5);
    let stats = telemetry.stats();
    assert_eq!(stats.lines_written, 0);
    // A spawn, five calls and tasks, a stop.
    assert_eq!(stats.lines_lost, 12);
    assert!(stats.last_error.unwrap().contains("No space"));
}

/// The shell that started us allows files of a few kilobytes only, and has the signal for
/// larger ones ignored.
pub fn log_on_a_full_disk(path: &Path) {
    let telemetry = Telemetry::to_file(path).unwrap();
    let manager = manager(&telemetry);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    let mut tasks = 0;
    while telemetry.stats().lines_lost < 5 {
        run_tasks(&manager, helper, 1);
        tasks += 1;
        assert!(tasks < CHILD_TASKS_MAX);
    }
    let full = lines(path);
    assert_eq!(full.len() as u64, telemetry.stats().lines_written, "no torn line stays");
    // Space is freed.
    let lost = telemetry.stats().lines_lost;
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
    run_tasks(&manager, helper, 1);
    assert_eq!(telemetry.stats().lines_lost, lost);
    let after = lines(path);
    assert_eq!(events(&after, "lines_lost")[0]["lines"], lost);
    assert_eq!(events(&after, "task_complete").len(), 1);
}

/// Sets the greatest size of this process's files, in bytes; without a number none.
fn file_bytes_max(bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let pid = std::process::id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

/// Of two writers this one tears a line when the disk is full; then space is freed, and
/// the other one writes first.
pub fn two_on_a_full_disk(path: &str, tearing: usize) {
    let path = Path::new(path);
    let writers = [(); 2].map(|()| Telemetry::to_file(path).unwrap());
    let tasks = |writer: &Telemetry, tasks| {
        let manager = manager(writer);
        let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
        run_tasks(&manager, helper, tasks);
    };
    file_bytes_max("4000");
    tasks(&writers[tearing], 20);
    assert!(writers[tearing].stats().lines_lost > 0);
    file_bytes_max("unlimited");
    tasks(&writers[1 - tearing], 1);
    tasks(&writers[tearing], 1);
    let written: u64 = writers.iter().map(|writer| writer.stats().lines_written).sum();
    let text = fs::read_to_string(path).unwrap();
    let (whole, torn): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| serde_json::from_str::<Value>(line).is_ok());
    assert_eq!(whole.len() as u64, written, "{torn:?}");
    // Its beginning alone, and nobody else's line behind it.
    assert_eq!(torn.len(), 1);
    assert_eq!(torn[0].matches("{\"timestamp\":").count(), 1, "{torn:?}");
    drop(writers);
    fs::remove_file(path).unwrap();
}

/// Runs the child under this limit of the shell; a file that reaches it ends no process.
fn with_file_limit(inner: &Command, limit: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("trap '' XFSZ; {limit}; exec \"$@\""), "sh"]);
    shell.arg(inner.get_program()).args(inner.get_args());
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn two_writers_on_a_full_disk_never_mix_their_lines() {
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|out| out.status.success()) {
        println!("left out: there is no prlimit");
        return;
    }
    let folder = Folder::new("twofull");
    with_file_limit(&child_process("two_on_a_full_disk", &folder.join("audit.jsonl")), "true");
}

#[test]
fn a_disk_that_fills_in_the_middle_of_a_line_leaves_whole_lines() {
    let folder = Folder::new("full");
    let path = folder.join("audit.jsonl");
    // The unit is 512 or 1024 bytes, as the shell has it.
    with_file_limit(&child_process("full_disk", &path), "ulimit -f 8");
    let json = Debrief::from_path(&path).unwrap().to_json();
    assert_eq!(json["lines"]["broken"], 0);
    assert!(json["lines"]["lost"].as_u64().unwrap() >= 5);
}
