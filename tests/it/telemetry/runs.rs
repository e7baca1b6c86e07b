//! Names of runs: no two are alike, and most are plain.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use automation_assistant::{Debrief, Telemetry};

use super::{Folder, log};

/// A run's id where no other run began in its second: `YYYYMMDD_HHMMSS`.
const PLAIN_ID: usize = 15;

fn has_plain_id(telemetry: &Telemetry) -> bool {
    telemetry.run_id().len() == PLAIN_ID
}

#[test]
fn runs_of_one_second_have_different_names() {
    let folder = Folder::new("names");
    let path = folder.join("audit.jsonl");
    let mut names = Vec::new();
    for _ in 0..5 {
        // Each ends before the next begins: only the file records it.
        let telemetry = Telemetry::to_file(&path).unwrap();
        log(&telemetry, 1);
        names.push(telemetry.run_id().to_owned());
    }
    for name in &names {
        let (day, rest) = name.split_once('_').unwrap();
        assert!(day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit()), "{name}");
        let second = rest.split('_').next().unwrap();
        assert!(second.len() == 6 && second.bytes().all(|b| b.is_ascii_digit()), "{name}");
    }
    assert_eq!(names[0].len(), 15, "alone in its second, a run needs no suffix");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5);
    assert_eq!(Debrief::from_path(&path).unwrap().total_runs(), 5);
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
fn runs_that_begin_at_the_same_moment_have_different_names() {
    const WRITERS: usize = 8;
    let folder = Folder::new("moment");
    for round in 0..100 {
        let path = folder.join(&format!("{round}.jsonl"));
        let begin = Barrier::new(WRITERS);
        let runs: Vec<Telemetry> = std::thread::scope(|scope| {
            let open = || {
                begin.wait();
                Telemetry::to_file(&path).unwrap()
            };
            let writers = [(); WRITERS].map(|()| scope.spawn(open));
            writers.map(|writer| writer.join().unwrap()).into()
        });
        let names: BTreeSet<_> = runs.iter().map(Telemetry::run_id).collect();
        assert_eq!(names.len(), WRITERS, "{names:?}");
    }
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
