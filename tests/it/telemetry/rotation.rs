//! Files that are moved aside, by us or by others.

use std::fs;

use automation_assistant::{HelperConfig, Telemetry};

use super::{Folder, lines, log, manager, run_tasks};

#[test]
fn rotation_keeps_sizes_and_counts_and_loses_nothing_young() {
    const BYTES: u64 = 8192;
    /// No line is longer.
    const LINE: u64 = 1536;
    let folder = Folder::new("rotation");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::builder(&path).rotate(BYTES, 3).build().unwrap();
    log(&telemetry, 100);
    let run = telemetry.stats();
    assert!(run.rotations > 3, "{run:?}");
    drop(telemetry);
    let names = ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"];
    assert_eq!(folder.files(), [&names[..], &["audit.jsonl.lock"]].concat());
    assert_eq!(fs::metadata(folder.join("audit.jsonl.lock")).unwrap().len(), 0);
    let mut seqs = Vec::new();
    for name in names.iter().rev() {
        let path = folder.join(name);
        assert!(fs::metadata(&path).unwrap().len() < BYTES + LINE, "{name}");
        seqs.extend(lines(&path).iter().map(|line| line["seq"].as_u64().unwrap()));
    }
    let last = run.lines_written + 1;
    assert_eq!(seqs, (last + 1 - seqs.len() as u64..=last).collect::<Vec<_>>());
}

#[test]
fn a_file_is_moved_aside_when_it_is_full_and_not_before() {
    const BYTES: u64 = 4096;
    let folder = Folder::new("full-aside");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::builder(&path).rotate(BYTES, 9).build().unwrap();
    log(&telemetry, 40);
    assert!(telemetry.stats().rotations >= 2);
    for number in 1..=telemetry.stats().rotations {
        let aside = folder.join(&format!("audit.jsonl.{number}"));
        assert!(fs::metadata(&aside).unwrap().len() >= BYTES, "{number}");
    }
}

#[test]
fn a_file_that_cannot_be_moved_aside_is_written_on() {
    let folder = Folder::new("stuck");
    let path = folder.join("audit.jsonl");
    fs::create_dir_all(folder.join("audit.jsonl.1/in the way")).unwrap();
    let telemetry = Telemetry::builder(&path).rotate(1000, 1).build().unwrap();
    log(&telemetry, 10);
    let stats = telemetry.stats();
    assert_eq!((stats.rotations, stats.lines_lost), (0, 0));
    assert!(stats.rotations_skipped > 0 && stats.last_error.is_some());
    assert_eq!(lines(&path).len() as u64, stats.lines_written);
}

#[test]
fn a_file_that_was_renamed_or_removed_is_begun_anew() {
    /// More lines than may go by before the file is looked for.
    const TASKS: usize = 150;
    let folder = Folder::new("renamed");
    let (path, moved) = (folder.join("audit.jsonl"), folder.join("moved.jsonl"));
    let telemetry = Telemetry::to_file(&path).unwrap();
    let manager = manager(&telemetry);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    run_tasks(&manager, helper, 1);
    fs::rename(&path, &moved).unwrap();
    run_tasks(&manager, helper, TASKS);
    let mut all = lines(&moved);
    let new = lines(&path);
    assert_eq!(new[0]["event"], "audit_reopened");
    all.extend(new);
    let seqs: Vec<_> = all.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>(), "nothing is lost by a rename");
    fs::remove_file(&path).unwrap();
    run_tasks(&manager, helper, TASKS);
    assert!(!lines(&path).is_empty());
    assert_eq!(telemetry.stats().reopened, 2);
    assert_eq!(telemetry.stats().lines_lost, 0);
}

#[test]
fn a_file_put_in_the_place_of_ours_is_written_to_from_then_on() {
    let folder = Folder::new("replaced");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    let manager = manager(&telemetry);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    fs::write(folder.join("new"), "").unwrap();
    fs::rename(folder.join("new"), &path).unwrap();
    // More lines than may go by before the file is looked for.
    run_tasks(&manager, helper, 150);
    assert_eq!(telemetry.stats().reopened, 1);
    assert_eq!(lines(&path)[0]["event"], "audit_reopened");
}
