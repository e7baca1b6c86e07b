//! Files that end in the middle of a line, and what is done about it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use automation_assistant::{Debrief, Telemetry};
use serde_json::Value;

use super::{Folder, log};

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_torn_end_is_cut_back_and_reported() {
    let folder = Folder::new("torn");
    for (torn, whole) in [
        (&b"{\"timestamp\": 17"[..], &b"{\"a\":1}\n{\"b\":2}\n"[..]),
        (b"x", b""),
        (&[b'x'; 100_000], b"{\"a\":1}\n"),
        (&[0; 5000], b"{\"a\":1}\n"),
    ] {
        let path = folder.join("audit.jsonl");
        fs::write(&path, [whole, torn].concat()).unwrap();
        let telemetry = Telemetry::to_file(&path).unwrap();
        let text = fs::read(&path).unwrap();
        assert!(text.starts_with(whole));
        let repaired: Value = serde_json::from_slice(&text[whole.len()..]).unwrap();
        assert_eq!(repaired["event"], "tail_repaired");
        assert_eq!(repaired["bytes_dropped"], torn.len());
        assert_eq!(repaired["seq"], 1);
        drop(telemetry);
        let debrief = Debrief::from_path(&path).unwrap().to_json();
        assert_eq!(debrief["lines"]["tail_repairs"], 1);
        assert_eq!(debrief["lines"]["bytes_dropped"], torn.len());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_whole_file_is_left_as_it_is_and_a_silent_run_writes_nothing() {
    let folder = Folder::new("whole");
    let path = folder.join("audit.jsonl");
    fs::write(&path, "{\"a\":1}\n").unwrap();
    drop(Telemetry::to_file(&path).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n");
    assert_eq!(folder.files(), ["audit.jsonl"]);
}

#[test]
fn what_is_too_long_to_be_a_torn_line_is_never_cut() {
    let folder = Folder::new("notours");
    let path = folder.join("photo.raw");
    let bytes = vec![7; 3 << 20];
    fs::write(&path, &bytes).unwrap();
    log(&Telemetry::to_file(&path).unwrap(), 1);
    let after = fs::read(&path).unwrap();
    assert_eq!(after[..bytes.len()], bytes);
    assert_eq!(after[bytes.len()..bytes.len() + 12], *b"\n{\"timestamp");
}

#[test]
fn with_another_live_writer_nothing_is_cut_and_the_line_is_closed() {
    let folder = Folder::new("shared");
    let path = folder.join("audit.jsonl");
    let first = Telemetry::to_file(&path).unwrap();
    log(&first, 1);
    append(&path, b"{\"half\":");
    let second = Telemetry::to_file(&path).unwrap();
    log(&second, 1);
    assert_ne!(first.run_id(), second.run_id());
    drop((first, second));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().filter(|line| *line == "{\"half\":").count(), 1);
    assert!(!text.contains("tail_repaired"));
    let debrief = Debrief::from_path(&path).unwrap();
    assert_eq!(debrief.total_runs(), 2);
    assert_eq!(debrief.to_json()["lines"]["broken"], 1);
    assert_eq!(debrief.to_json()["runs"]["ended"], 2);
    // Closing took the lock, which stays.
    assert_eq!(folder.files(), ["audit.jsonl", "audit.jsonl.lock"]);
}

#[test]
fn a_torn_line_beside_another_writer_is_closed_at_once() {
    let folder = Folder::new("closed");
    let path = folder.join("audit.jsonl");
    let first = Telemetry::to_file(&path).unwrap();
    fs::write(&path, "{\"half\":").unwrap();
    drop(Telemetry::to_file(&path).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"half\":\n");
    drop(first);
}
