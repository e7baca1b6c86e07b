//! The audit file after a kill and with a second process. The child processes are
//! this test binary itself, with its part in the environment.
#![cfg(unix)]

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use automation_assistant::{Debrief, HelperConfig, Telemetry};
use serde_json::Value;

use super::{Folder, events, lines, manager, run_tasks};
use crate::support::chance::{Chance, seed};
use crate::support::{LONG, this_program};

/// A child's part, and its file.
const CHILD_WORK: &str = "AA_TEST_CHILD_WORK";

const CHILD_FILE: &str = "AA_TEST_CHILD_FILE";

/// Kills in an ordinary test run; `AA_TEST_KILLS=1000` for a thorough one.
const KILLS: u64 = 10;

/// So small that a child rotates at every few tasks, and so many files that none is dropped.
pub const ROTATE_AT: u64 = 4000;

pub const FILES_MAX: u32 = 1000;

/// Kills of children that write to one file.
pub const KILLS_PER_FILE: u64 = 12;

/// Tasks that a killed child has been seen to finish, at most.
pub const SEEN_MAX: u64 = 60;

/// A bound on what a child does on its own, should nobody kill it.
pub const CHILD_TASKS_MAX: usize = 100_000;

pub fn child_process(work: &str, path: &Path) -> Command {
    let mut command = this_program();
    command
        .args(["--exact", "telemetry::kill::child", "--nocapture", "--ignored"])
        .env(CHILD_WORK, work)
        .env(CHILD_FILE, path)
        .stdin(Stdio::null());
    command
}

/// The children's parts.
#[test]
#[ignore = "no test by itself: the child process of those beside it"]
fn child() {
    let (Ok(work), Ok(path)) = (std::env::var(CHILD_WORK), std::env::var(CHILD_FILE)) else {
        return;
    };
    match work.as_str() {
        "until_killed" => log_until_killed(&Telemetry::to_file(&path).unwrap()),
        "rotating_until_killed" => {
            log_until_killed(
                &Telemetry::builder(&path).rotate(ROTATE_AT, FILES_MAX).build().unwrap(),
            );
        }
        "rotating" => {
            let telemetry = Telemetry::builder(&path).rotate(ROTATE_AT, FILES_MAX).build().unwrap();
            let manager = manager(&telemetry);
            let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
            run_tasks(&manager, helper, 500);
        }
        "five_hundred" => {
            let telemetry = Telemetry::to_file(&path).unwrap();
            let manager = manager(&telemetry);
            let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
            run_tasks(&manager, helper, 500);
        }
        #[cfg(target_os = "linux")]
        "full_disk" => super::disk::log_on_a_full_disk(Path::new(&path)),
        #[cfg(target_os = "linux")]
        "two_on_a_full_disk" => {
            (0..2).for_each(|first| super::disk::two_on_a_full_disk(&path, first))
        }
        other => panic!("no such work: {other}"),
    }
}

/// Three busy helpers; each finished task is printed to the parent after it was seen.
fn log_until_killed(telemetry: &Telemetry) {
    let manager = manager(telemetry);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
                for _ in 0..CHILD_TASKS_MAX {
                    let id = manager.submit_task(helper, "work").unwrap();
                    manager.wait_task(helper, id, LONG).unwrap();
                    manager.take_task_result(helper, id);
                    println!("seen {id}");
                }
            });
        }
    });
}

pub fn kills() -> u64 {
    let kills = std::env::var("AA_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    println!("AA_TEST_KILLS={kills}");
    kills
}

#[test]
fn lines_of_tasks_seen_finished_survive_a_kill() {
    let kills = kills();
    let mut chance = Chance::new(seed(), 0);
    let folder = Folder::new("kill");
    let path = folder.join("audit.jsonl");
    let (mut in_file, mut seen_in_all) = (0, 0);
    for kill in 1..=kills {
        let mut child =
            child_process("until_killed", &path).stdout(Stdio::piped()).spawn().unwrap();
        let seen = kill_after(&mut child, chance.roll() % SEEN_MAX);
        check_after_kill(&path, kill, &seen);
        seen_in_all += seen.len();
        in_file += 1;
        if in_file == KILLS_PER_FILE || kill == kills {
            // Each kill reads the file again: a new one now and then keeps that short.
            check_runs(&path, in_file);
            fs::remove_file(&path).unwrap();
            in_file = 0;
        }
    }
    println!("tasks seen finished: {seen_in_all}");
    assert!(seen_in_all > 0);
}

/// All runs in the file were killed, and no line is missing between two others.
fn check_runs(path: &Path, killed: u64) {
    let debrief = Debrief::from_path(path).unwrap().to_json();
    assert_eq!(
        (&debrief["runs"]["unended"], &debrief["runs"]["missing_lines"]),
        (&killed.into(), &0.into())
    );
}

/// Reads so many finished tasks, kills the child, and reads the rest of its output.
pub fn kill_after(child: &mut Child, tasks: u64) -> Vec<String> {
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    let mut note = |line: String| {
        // The test harness has the start of the first line for itself.
        if let Some(at) = line.find("seen ") {
            seen.push(line[at + "seen ".len()..].to_owned());
        }
    };
    // The harness prints two lines or three before ours.
    for line in printed.by_ref().take(usize::try_from(tasks).unwrap() + 3) {
        note(line);
    }
    child.kill().unwrap();
    printed.for_each(&mut note);
    child.wait().unwrap();
    // The last one may be torn: then it was not reported.
    seen.pop();
    seen
}

fn check_after_kill(path: &Path, kill: u64, seen: &[String]) {
    let text = fs::read_to_string(path).unwrap();
    let mut done = HashSet::new();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        match serde_json::from_str::<Value>(line) {
            Ok(line) if line["event"] == "task_complete" => {
                done.insert(line["task_id"].as_str().unwrap().to_owned());
            }
            Ok(_) => {}
            Err(_) => {
                assert!(rest.peek().is_none(), "torn in the middle after kill {kill}: {line}")
            }
        }
    }
    for task in seen {
        assert!(done.contains(task), "kill {kill}: task {task} was seen finished");
    }
    // Opening mends what there is to mend, and takes the dead child's lock away.
    drop(Telemetry::to_file(path).unwrap());
    lines(path);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn lines_of_two_processes_never_mix() {
    let folder = Folder::new("two");
    let path = folder.join("audit.jsonl");
    let start = || child_process("five_hundred", &path).stdout(Stdio::null()).spawn().unwrap();
    let mut children = [start(), start(), start()];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let lines = lines(&path);
    assert_eq!(events(&lines, "task_complete").len(), 1500);
    let debrief = Debrief::from_path(&path).unwrap();
    assert_eq!(debrief.total_runs(), 3);
    let json = debrief.to_json();
    assert_eq!((&json["runs"]["ended"], &json["runs"]["missing_lines"]), (&3.into(), &0.into()));
    assert_eq!(folder.files(), ["audit.jsonl"]);
}

#[test]
fn processes_that_find_a_torn_end_together_lose_no_line_of_each_other() {
    let folder = Folder::new("tworace");
    for round in 0..5 {
        let path = folder.join("audit.jsonl");
        fs::write(&path, "{\"run_id\":\"old\"}\n{\"torn").unwrap();
        let start = || child_process("five_hundred", &path).stdout(Stdio::null()).spawn().unwrap();
        let mut children = [start(), start()];
        for child in &mut children {
            assert!(child.wait().unwrap().success());
        }
        let text = fs::read_to_string(&path).unwrap();
        let json = Debrief::from_path(&path).unwrap().to_json();
        assert_eq!(json["tasks"]["done"], 1000, "round {round}");
        assert_eq!(json["runs"]["missing_lines"], 0);
        // Cut by one, or closed by either.
        let torn = text.lines().filter(|line| *line == "{\"torn").count();
        assert_eq!(json["lines"]["broken"], torn);
        assert_eq!(text.contains("tail_repaired"), torn == 0);
        fs::remove_file(&path).unwrap();
    }
}
