//! Edges of the audit file: when it is searched, moved aside, closed and forced to the disk.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use automation_assistant::{Fsync, HelperConfig, Telemetry};

use crate::telemetry::{Folder, lines, log, manager, run_tasks};

/// A run's id where no other run began in its second: `YYYYMMDD_HHMMSS`.
const PLAIN_ID: usize = 15;

fn has_plain_id(telemetry: &Telemetry) -> bool {
    telemetry.run_id().len() == PLAIN_ID
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

#[test]
fn runs_that_begin_together_have_different_names_before_any_line() {
    let folder = Folder::new("together");
    let path = folder.join("audit.jsonl");
    let runs: Vec<_> = (0..4).map(|_| Telemetry::to_file(&path).unwrap()).collect();
    let mut names: Vec<_> = runs.iter().map(|run| run.run_id().to_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4);
}

#[test]
fn a_run_of_the_same_second_is_known_from_the_file_moved_aside() {
    let folder = Folder::new("aside");
    let path = folder.join("audit.jsonl");
    let mut names = Vec::new();
    for _ in 0..4 {
        let telemetry = Telemetry::to_file(&path).unwrap();
        log(&telemetry, 1);
        names.push(telemetry.run_id().to_owned());
        drop(telemetry);
        fs::rename(&path, folder.join("audit.jsonl.1")).unwrap();
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4);
}

#[cfg(unix)]
#[test]
fn where_the_file_moved_aside_cannot_be_read_a_run_has_a_name_of_its_own() {
    let folder = Folder::new("loop");
    let path = folder.join("audit.jsonl");
    let aside = folder.join("audit.jsonl.1");
    std::os::unix::fs::symlink(&aside, &aside).unwrap();
    assert!(!has_plain_id(&Telemetry::to_file(&path).unwrap()));
    fs::remove_file(&aside).unwrap();
    assert!(has_plain_id(&Telemetry::to_file(folder.join("other.jsonl")).unwrap()));
}

#[test]
fn only_a_file_that_may_hold_a_run_of_this_second_costs_the_plain_name() {
    let folder = Folder::new("mentions");
    let path = folder.join("audit.jsonl");
    let line = "{\"timestamp\":1,\"run_id\":\"20200101_000000\",\"event\":\"x\"}\n";
    let (soon, long_ago) = (SystemTime::now() + Duration::from_secs(60), SystemTime::UNIX_EPOCH);
    // More lines than are searched may hold anything, unless they are older than the second.
    for (times, modified, plain) in
        [(1, soon, true), (1, long_ago, true), (4000, soon, false), (4000, long_ago, true)]
    {
        fs::write(&path, line.repeat(times)).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        let telemetry = Telemetry::to_file(&path).unwrap();
        assert_eq!(has_plain_id(&telemetry), plain, "{times} {modified:?}");
    }
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

#[test]
fn lines_are_forced_to_the_disk_as_often_as_asked_for() {
    let folder = Folder::new("syncs");
    let each = |lines: u32| Fsync::EachLines(lines.try_into().unwrap());
    // A spawn, two lines for each of three tasks, a stop.
    for (fsync, syncs) in [(Fsync::Never, 0), (each(3), 2), (each(8), 1), (Fsync::EachTask, 3)] {
        let path = folder.join("audit.jsonl");
        let telemetry = Telemetry::builder(&path).fsync(fsync).build().unwrap();
        log(&telemetry, 3);
        assert_eq!((telemetry.stats().lines_written, telemetry.stats().syncs), (8, syncs));
        telemetry.sync().unwrap();
        assert_eq!(telemetry.stats().syncs, syncs + 1, "{fsync:?}");
        drop(telemetry);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_file_is_forced_to_the_disk_before_it_is_moved_aside() {
    let folder = Folder::new("aside-sync");
    for (fsync, synced) in
        [(Fsync::Never, false), (Fsync::EachLines(u32::MAX.try_into().unwrap()), true)]
    {
        let path = folder.join("audit.jsonl");
        let telemetry = Telemetry::builder(&path).fsync(fsync).rotate(2000, 2).build().unwrap();
        log(&telemetry, 20);
        let stats = telemetry.stats();
        assert!(stats.rotations > 0);
        assert_eq!(stats.syncs, if synced { stats.rotations } else { 0 });
    }
}
