//! What the audit file survives from outside: a kill, a second process, a full disk. The
//! child processes are this test binary itself, told by the environment what to do.
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the harness shows it when the test fails")]

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use automation_assistant::{Debrief, HelperConfig, Telemetry};
use serde_json::Value;

use crate::support::chance::{Chance, seed};
use crate::support::{LONG, this_program};
use crate::telemetry::{Folder, events, lines, manager, run_tasks};

/// Tells a child what to do, and with which file.
const CHILD_WORK: &str = "AA_TEST_CHILD_WORK";
const CHILD_FILE: &str = "AA_TEST_CHILD_FILE";

/// Kills in an ordinary test run; `AA_TEST_KILLS=1000` for a thorough one.
const KILLS: u64 = 10;

/// So small that a child rotates at every few tasks, and so many files that none is dropped.
const ROTATE_AT: u64 = 4000;
const FILES_MAX: u32 = 1000;

/// Kills of children that write to one file.
const KILLS_PER_FILE: u64 = 12;

/// Tasks that a killed child has been seen to finish, at most.
const SEEN_MAX: u64 = 60;

/// A bound on what a child does on its own, should nobody kill it.
const CHILD_TASKS_MAX: usize = 100_000;

fn child_process(work: &str, path: &Path) -> Command {
    let mut command = this_program();
    command
        .args(["--exact", "telemetry_kill::child", "--nocapture", "--ignored"])
        .env(CHILD_WORK, work)
        .env(CHILD_FILE, path)
        .stdin(Stdio::null());
    command
}

/// What children do.
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
        "full_disk" => log_on_a_full_disk(Path::new(&path)),
        "two_on_a_full_disk" => (0..2).for_each(|first| two_on_a_full_disk(&path, first)),
        other => panic!("no such work: {other}"),
    }
}

/// Three helpers at work; each finished task is told to the parent after it was seen.
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

/// The shell that started us allows files of a few kilobytes only, and has the signal for
/// larger ones ignored.
fn log_on_a_full_disk(path: &Path) {
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
    // Somebody makes room.
    let lost = telemetry.stats().lines_lost;
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
    run_tasks(&manager, helper, 1);
    assert_eq!(telemetry.stats().lines_lost, lost);
    let after = lines(path);
    assert_eq!(events(&after, "lines_lost")[0]["lines"], lost);
    assert_eq!(events(&after, "task_complete").len(), 1);
}

/// What the system lets a file of this process grow to, in bytes; for good without a number.
fn file_bytes_max(bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let pid = std::process::id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
}

/// Of two writers this one tears a line when the disk is full; then somebody makes room, and
/// the other one writes first.
fn two_on_a_full_disk(path: &str, tearing: usize) {
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

fn kills() -> u64 {
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

/// Reads so many finished tasks, kills the child, and reads what it still told.
fn kill_after(child: &mut Child, tasks: u64) -> Vec<String> {
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    let mut note = |line: String| {
        // The test harness has the start of the first line for itself.
        if let Some(at) = line.find("seen ") {
            seen.push(line[at + "seen ".len()..].to_owned());
        }
    };
    // The harness tells two lines or three before ours.
    for line in told.by_ref().take(usize::try_from(tasks).unwrap() + 3) {
        note(line);
    }
    child.kill().unwrap();
    told.for_each(&mut note);
    child.wait().unwrap();
    // The last one may be torn: then it was not told.
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

/// Holds the file open as a writer does; its first thread ends, and another writes what it is
/// told to. The system then calls the process a zombie.
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
    use std::io::Write;
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
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = told.next().unwrap().unwrap();
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
    assert_eq!(told.next().unwrap().unwrap(), "written");
    assert!(child.wait().unwrap().success());
    assert_eq!(events(&lines_of_all(&folder), "of the zombie").len(), 1);
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

/// Runs the child under this limit of the shell; a file that reaches it ends no process.
#[cfg(target_os = "linux")]
fn with_file_limit(inner: &Command, limit: &str) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("trap '' XFSZ; {limit}; exec \"$@\""), "sh"]);
    shell.arg(inner.get_program()).args(inner.get_args());
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[cfg(target_os = "linux")]
#[test]
fn two_writers_on_a_full_disk_never_mix_their_lines() {
    if !Command::new("prlimit").arg("--version").output().is_ok_and(|out| out.status.success()) {
        println!("left out: there is no prlimit");
        return;
    }
    let folder = Folder::new("twofull");
    with_file_limit(&child_process("two_on_a_full_disk", &folder.join("audit.jsonl")), "true");
}

#[cfg(target_os = "linux")]
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
