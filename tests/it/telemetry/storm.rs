//! Processes that rotate one file together: killed, followed by others, their lock file removed.
#![cfg(unix)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use automation_assistant::{HelperConfig, Telemetry};
use serde_json::Value;

use super::kill::{
    FILES_MAX, KILLS_PER_FILE, ROTATE_AT, SEEN_MAX, child_process, kill_after, kills,
};
use super::{Folder, events, lines, manager, run_tasks};
use crate::support::chance::{Chance, seed};

/// All lines of the file and of those rotated away.
fn lines_of_all(folder: &Folder) -> Vec<Value> {
    let names = folder.files().into_iter().filter(|name| !name.ends_with(".lock"));
    names.flat_map(|name| lines(&folder.join(&name))).collect()
}

/// Ids of the tasks whose end can be read, in all files; none may be there twice. Of lines that
/// cannot be read there is one for each kill at most.
fn tasks_of_all(folder: &Folder, kills: u64) -> HashSet<String> {
    let (mut done, mut broken) = (HashSet::new(), 0);
    for name in folder.files().iter().filter(|name| !name.ends_with(".lock")) {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        for line in text.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(line) if line["event"] == "task_complete" => {
                    let task = line["task_id"].as_str().unwrap().to_owned();
                    assert!(done.insert(task), "twice: {line}");
                }
                Ok(_) => {}
                Err(_) => broken += 1,
            }
        }
    }
    assert!(broken <= kills, "{broken} broken lines after {kills} kills");
    done
}

/// Children that rotate one file are killed and followed by others, until so many kills have
/// passed; some work on a side meanwhile. Every task seen finished must be found.
fn storm(name: &str, processes: u64, meanwhile: impl Fn(&Path) + Sync) {
    let kills = kills();
    let (seed, folder) = (seed(), Folder::new(name));
    let path = folder.join("audit.jsonl");
    let (mut killed, mut seen_in_all, mut files_max) = (0, 0, 0);
    while killed < kills {
        let each = KILLS_PER_FILE.min(kills - killed).div_ceil(processes);
        let over = AtomicBool::new(false);
        let seen: Vec<String> = std::thread::scope(|scope| {
            let killers: Vec<_> = (0..processes)
                .map(|n| {
                    let (path, mut chance) = (&path, Chance::new(seed, killed * processes + n));
                    scope.spawn(move || {
                        let mut seen = Vec::new();
                        for _ in 0..each {
                            let mut child = child_process("rotating_until_killed", path)
                                .stdout(Stdio::piped())
                                .spawn()
                                .unwrap();
                            seen.extend(kill_after(&mut child, chance.roll() % SEEN_MAX));
                        }
                        seen
                    })
                })
                .collect();
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    meanwhile(&path);
                }
            });
            let seen = killers.into_iter().map(|killer| killer.join());
            let seen: Vec<_> = seen.collect();
            over.store(true, Ordering::SeqCst);
            seen.into_iter().flat_map(|seen| seen.unwrap()).collect()
        });
        killed += each * processes;
        let done = tasks_of_all(&folder, each * processes);
        let lost: Vec<_> = seen.iter().filter(|task| !done.contains(*task)).collect();
        assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), seen.len());
        files_max = files_max.max(folder.files().len());
        seen_in_all += seen.len();
        for file in folder.files() {
            let _ = fs::remove_file(folder.join(&file));
        }
    }
    println!(
        "{name}: {killed} kills, {seen_in_all} tasks seen finished, {files_max} files at most"
    );
    assert!(files_max > 5, "it rotated");
    assert!(files_max < FILES_MAX as usize, "none was dropped");
}

/// Nothing on a side, but at a pace.
fn nothing(_: &Path) {
    std::thread::sleep(std::time::Duration::from_millis(1));
}

#[test]
fn kills_of_one_process_that_rotates_lose_no_line() {
    storm("killrotate", 1, nothing);
}

#[test]
fn kills_of_two_processes_that_rotate_lose_no_line() {
    storm("killrotate2", 2, nothing);
}

#[test]
fn kills_of_four_processes_that_rotate_lose_no_line() {
    storm("killrotate4", 4, nothing);
}

#[test]
fn kills_while_somebody_removes_the_lock_file_lose_no_line() {
    storm("killunlock", 4, |path| drop(fs::remove_file(path.with_extension("jsonl.lock"))));
}

#[test]
fn processes_that_rotate_one_file_lose_no_line_of_each_other() {
    let folder = Folder::new("tworotate");
    let path = folder.join("audit.jsonl");
    let start = || child_process("rotating", &path).stdout(Stdio::null()).spawn().unwrap();
    let mut children = [start(), start(), start()];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let all = lines_of_all(&folder);
    assert_eq!(events(&all, "task_complete").len(), 1500);
    assert_eq!(events(&all, "run_end").len(), 3);
    assert!(folder.files().len() > 10, "they rotated");
}

/// Holds the file open as a writer does; its first thread ends, and another writes the lines that
/// it gets. The system then calls the process a zombie.
#[cfg(target_os = "linux")]
const ZOMBIE: &str = "
import ctypes, fcntl, os, sys, threading
file = open(sys.argv[1], 'ab', buffering=0)
fcntl.flock(file, fcntl.LOCK_SH)
def work():
    print(os.getpid(), flush=True)
    for line in iter(sys.stdin.buffer.readline, b''):
        file.write(line)
        print('written', flush=True)
    os._exit(0)
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall({'x86_64': 60}.get(os.uname().machine, 93), 0)
";

#[cfg(target_os = "linux")]
#[test]
fn a_process_whose_first_thread_has_ended_still_holds_its_file() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Command;
    if !Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success()) {
        println!("left out: there is no python3");
        return;
    }
    let folder = Folder::new("zombie");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::builder(&path).rotate(ROTATE_AT, 2).build().unwrap();
    let mut child = Command::new("python3")
        .args(["-c", ZOMBIE])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = printed.next().unwrap().unwrap();
    let is_zombie = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('Z')
    };
    while !is_zombie() {
        std::thread::yield_now();
    }
    let manager = manager(&telemetry);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    run_tasks(&manager, helper, 200);
    assert!(telemetry.stats().rotations > 5);
    child.stdin.take().unwrap().write_all(b"{\"event\":\"of the zombie\"}\n").unwrap();
    assert_eq!(printed.next().unwrap().unwrap(), "written");
    assert!(child.wait().unwrap().success());
    assert_eq!(events(&lines_of_all(&folder), "of the zombie").len(), 1);
}
