//! A sink with nothing to do does nothing. Measured by the system's own counters, in a process of
//! its own, so that no other sink's thread is there.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use automation_assistant::TraceMode;

use super::stand_in::Opik;
use super::{echo, flush, manager, opik, run};
use crate::support::{LONG, runner, this_program};

const CHILD: &str = "AA_TEST_IDLE_SINK";

/// How long the sink is watched. Longer than its batching takes.
const WATCHED: Duration = Duration::from_millis(2100);

#[test]
#[ignore = "no test by itself: the child process of the one beside it"]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    assert_eq!(sink_threads().len(), 0, "none before a helper traces");
    echo(&manager, TraceMode::Off);
    assert_eq!(sink_threads().len(), 0, "none for a helper that does not");
    let helper = echo(&manager, TraceMode::Metadata);
    echo(&manager, TraceMode::Content);
    run(&manager, helper, "x");
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    let threads = sink_threads();
    assert_eq!(threads.len(), 1, "one for all helpers");
    let before = settled_switches(&threads[0]);
    // Nobody sends on this channel: a wait, and nothing to be right by.
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    assert!(never.recv_timeout(WATCHED).is_err());
    if runner().is_empty() {
        assert_eq!(switches(&threads[0]), before, "an idle sink wakes up never");
    } else {
        println!("wake-ups left out: under an emulator they are the emulator's");
    }
    drop(manager);
    // The system (or an emulator) may list a thread a moment longer than one can join it.
    let since = Instant::now();
    while !sink_threads().is_empty() {
        assert!(since.elapsed() < LONG, "joined");
        std::thread::yield_now();
    }
}

#[test]
fn an_idle_sink_wakes_up_never() {
    let output = this_program()
        .args(["--exact", "opik::idle::child", "--nocapture", "--ignored"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{complaint}");
}

fn sink_threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let folders = tasks.map(|entry| entry.unwrap().path().display().to_string());
    let ours = |folder: &String| {
        fs::read_to_string(format!("{folder}/comm")).is_ok_and(|name| name.trim() == "aa-opik")
    };
    folders.filter(ours).collect()
}

fn switches(folder: &str) -> u64 {
    let status = fs::read_to_string(format!("{folder}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
    line.unwrap().split_whitespace().last().unwrap().parse().unwrap()
}

/// The count once the thread sleeps: after the flush it is still on its way there.
fn settled_switches(folder: &str) -> u64 {
    let (_keep, never) = std::sync::mpsc::channel::<()>();
    let mut last = switches(folder);
    for _ in 0..100 {
        assert!(never.recv_timeout(Duration::from_millis(20)).is_err());
        let now = switches(folder);
        if now == last {
            break;
        }
        last = now;
    }
    last
}
