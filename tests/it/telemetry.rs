//! The audit file: what stands in it, and what it survives.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use automation_assistant::{
    AutomationAssistantManager, Debrief, Error, ErrorKind, Fsync, HelperConfig, HelperId, Reply,
    TaskError, Telemetry, Usage,
};
use serde_json::Value;

use crate::support::{FnBackend, LONG};

/// A folder of the test's own, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aa-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The file's lines; each must be whole and JSON.
pub fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

pub fn events<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

pub fn manager(telemetry: &Telemetry) -> AutomationAssistantManager {
    AutomationAssistantManager::builder().observer(Arc::new(telemetry.clone())).build().unwrap()
}

/// Runs so many tasks, one after the other.
pub fn run_tasks(manager: &AutomationAssistantManager, helper: HelperId, tasks: usize) {
    for _ in 0..tasks {
        let id = manager.submit_task(helper, "work").unwrap();
        assert!(manager.wait_task(helper, id, LONG).unwrap().is_success());
        manager.take_task_result(helper, id);
    }
}

/// A run of its own: one helper, so many tasks, a clean end.
pub fn log(telemetry: &Telemetry, tasks: usize) {
    let manager = manager(telemetry);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    run_tasks(&manager, helper, tasks);
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_task_leaves_the_lines_that_readers_know() {
    let folder = Folder::new("lines");
    let path = folder.join("deep/down/audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    let manager = manager(&telemetry);
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    let task = manager.submit_task(helper, "hello").unwrap();
    manager.wait_task(helper, task, LONG).unwrap();
    // No flush, no drop: what a finished task left is there.
    let before = lines(&path);
    let done = events(&before, "task_complete")[0].clone();
    assert_eq!(done["helper_id"], helper.to_string());
    assert_eq!(done["task_id"], task.to_string());
    assert_eq!(done["backend"], "Local (local-mock)");
    assert_eq!(done["success"], true);
    assert!(done["latency_ms"].is_f64() && done["queue_ms"].is_f64(), "{done}");
    assert!(done["timestamp"].as_f64().unwrap() > 1.7e9);
    assert_eq!(done["run_id"], telemetry.run_id());
    assert_eq!(done.get("error"), None);
    for event in ["helper_spawn", "backend_call", "task_complete"] {
        let line = events(&before, event)[0];
        assert!(line["latency_ms"].is_number() && line["success"].is_boolean(), "{line}");
        assert!(line["backend"].is_string() && line["helper_id"].is_string(), "{line}");
    }
    drop(manager);
    let stats = telemetry.stats();
    drop(telemetry);
    let after = lines(&path);
    let seqs: Vec<_> = after.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=after.len() as u64).collect::<Vec<_>>());
    let end = after.last().unwrap();
    assert_eq!(end["event"], "run_end");
    assert_eq!(end["lines_written"], stats.lines_written);
    assert_eq!(stats.lines_written + 1, after.len() as u64);
    assert_eq!(folder.files(), ["deep"]);
    assert_eq!(
        fs::read_dir(folder.join("deep/down")).unwrap().count(),
        1,
        "no lock file without rotation"
    );
}

#[test]
fn failures_are_told_in_our_words_and_nothing_private_is() {
    let folder = Folder::new("private");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    let manager = manager(&telemetry);
    let backend = FnBackend(|call: &automation_assistant::CallContext<'_>| {
        if call.prompt().contains("fail") {
            return Err(TaskError::new(ErrorKind::RateLimited, "slow down, \"please\"")
                .with_status(429)
                .with_code("rate_limit_exceeded")
                .with_message("key sk-planted is over its limit")
                .with_request_id("req-planted")
                .with_partial("planted half reply"));
        }
        Ok(Reply::new("planted reply").with_usage(Usage::new(7, 9)))
    });
    let helper = manager.spawn_helper_with(HelperConfig::local(), backend).unwrap();
    for prompt in ["planted, fail", "planted, go"] {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap();
    }
    drop((manager, telemetry));
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("planted"), "{text}");
    let lines = lines(&path);
    let failed = events(&lines, "task_complete")[0];
    assert_eq!(failed["success"], false);
    assert_eq!(failed["error"], "slow down, \"please\"");
    assert_eq!(failed["error_kind"], "rate_limited");
    assert_eq!(failed["error_code"], "rate_limit_exceeded");
    assert_eq!(failed["http_status"], 429);
    let done = events(&lines, "task_complete")[1];
    assert_eq!((&done["prompt_tokens"], &done["completion_tokens"]), (&7.into(), &9.into()));
    let debrief = Debrief::from_path(&path).unwrap();
    assert_eq!(debrief.top_errors()[0].error_kind.as_deref(), Some("rate_limited"));
    assert_eq!(debrief.to_json()["tokens"]["prompt"], 7);
}

#[test]
fn a_torn_end_is_cut_back_and_told() {
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
fn runs_of_one_second_have_different_names() {
    let folder = Folder::new("names");
    let path = folder.join("audit.jsonl");
    let mut names = Vec::new();
    for _ in 0..5 {
        // Each ends before the next begins: only the file tells of it.
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

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone_and_no_link_is_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = Folder::new("mode");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::builder(&path).rotate(1 << 20, 1).build().unwrap();
    for file in folder.files() {
        let mode = fs::metadata(folder.join(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    drop(telemetry);
    symlink(folder.join("elsewhere"), folder.join("dangling")).unwrap();
    symlink(&path, folder.join("link")).unwrap();
    for link in ["dangling", "link"] {
        let error = Telemetry::to_file(folder.join(link)).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
    assert!(!folder.join("elsewhere").exists());
}

#[test]
fn an_impossible_path_is_refused_with_its_name() {
    let folder = Folder::new("path");
    fs::write(folder.join("file"), "").unwrap();
    for bad in ["file/audit.jsonl", "."] {
        let error = Telemetry::to_file(folder.join(bad)).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(error.to_string().contains("audit file"), "{error}");
    }
    // Even root makes no files there.
    #[cfg(target_os = "linux")]
    assert!(matches!(Telemetry::to_file("/proc/aa/audit.jsonl"), Err(Error::Io { .. })));
}

#[cfg(target_os = "linux")]
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
fn sync_policies_write_the_same_lines() {
    let folder = Folder::new("fsync");
    for fsync in [Fsync::Never, Fsync::EachLines(3.try_into().unwrap()), Fsync::EachTask] {
        let path = folder.join("audit.jsonl");
        let telemetry = Telemetry::builder(&path).fsync(fsync).build().unwrap();
        log(&telemetry, 3);
        telemetry.sync().unwrap();
        assert_eq!(telemetry.stats().last_error, None);
        drop(telemetry);
        assert_eq!(lines(&path).len(), 9, "{fsync:?}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn clones_write_to_one_run_from_many_threads() {
    const THREADS: usize = 4;
    const TASKS: usize = 100;
    let folder = Folder::new("threads");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| log(&telemetry, TASKS));
        }
    });
    drop(telemetry);
    let lines = lines(&path);
    assert_eq!(events(&lines, "task_complete").len(), THREADS * TASKS);
    let debrief = Debrief::from_path(&path).unwrap();
    assert_eq!(debrief.total_runs(), 1);
    assert_eq!(debrief.to_json()["runs"]["missing_lines"], 0);
    assert_eq!(debrief.to_json()["runs"]["ended"], 1);
}

#[test]
fn cost_is_told_and_what_has_no_price_is_kept_apart() {
    use crate::support::one_helper;
    use automation_assistant::{CallContext, Price, Prices};
    let folder = Folder::new("cost");
    let audit = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&audit).unwrap();
    let manager =
        AutomationAssistantManager::builder().telemetry(telemetry.clone()).build().unwrap();
    let backend = FnBackend(|call: &CallContext<'_>| match call.prompt() {
        "untold" => Ok(Reply::new("x").with_model("m-1")),
        model => Ok(Reply::new("x").with_model(model).with_usage(Usage::new(7, 2))),
    });
    let prices = Prices::new().model("m-1", Price::per_million(0.15, 0.60));
    let config = HelperConfig::local().prices(prices);
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    let run = |prompt: &str| {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap()
    };
    // 7 tokens at 0.15 and 2 at 0.60 a million: less than a hundred-thousandth of a unit.
    let cost = run("m-1").cost.unwrap();
    assert!((cost - 2.25e-6).abs() < 1e-15, "{cost}");
    assert_eq!(run("m-1").cost, Some(cost));
    assert_eq!(run("unheard-of").cost, None);
    assert_eq!(run("untold").cost, None);
    // Without a list nothing has a price, whatever the model.
    let (bare, other) = one_helper(
        HelperConfig::local(),
        FnBackend(|_: &CallContext<'_>| {
            Ok(Reply::new("x").with_model("m-1").with_usage(Usage::new(7, 2)))
        }),
    );
    let id = bare.submit_task(other, "p").unwrap();
    assert_eq!(bare.wait_task(other, id, LONG).unwrap().cost, None);
    drop((manager, telemetry));
    let debrief = Debrief::from_path(&audit).unwrap();
    let json = debrief.to_json();
    assert_eq!(json["cost"]["priced"], 2);
    assert_eq!(json["cost"]["unpriced"], 1);
    assert_eq!(json["cost"]["usage_missing"], 1);
    assert!((json["cost"]["total"].as_f64().unwrap() - 4.5e-6).abs() < 1e-15);
    let line = "Cost: 0.000004500 (tasks priced: 2, unpriced: 1, usage missing: 1)";
    assert!(debrief.to_string().contains(line), "{debrief}");
    assert!(debrief.to_markdown().contains(line));
}

#[test]
fn a_task_s_call_and_end_stand_together_and_at_one_moment() {
    let folder = Folder::new("telemetry-together");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    log(&telemetry, 50);
    drop(telemetry);
    let lines = lines(&path);
    let ends: Vec<_> = (0..lines.len()).filter(|&n| lines[n]["event"] == "task_complete").collect();
    assert_eq!(ends.len(), 50);
    for at in ends {
        let (call, end) = (&lines[at - 1], &lines[at]);
        assert_eq!(call["event"], "backend_call");
        assert_eq!((&call["task_id"], &call["timestamp"]), (&end["task_id"], &end["timestamp"]));
        assert_eq!(call["seq"].as_u64().map(|seq| seq + 1), end["seq"].as_u64());
    }
}

#[cfg(feature = "http")]
#[test]
fn a_call_that_was_the_last_is_told_with_its_task_s_end_and_others_when_they_end() {
    use crate::support::server::{Act, Server, answer};

    let folder = Folder::new("telemetry-http");
    let path = folder.join("audit.jsonl");
    let telemetry = Telemetry::to_file(&path).unwrap();
    let (meet, meeting) = Act::meet();
    let server = Server::start([vec![
        Act::read(),
        Act::reply(500, "retry-after-ms: 1\r\n", "{}"),
        Act::read(),
        meet,
        Act::json(200, &answer("x")),
    ]]);
    let manager = manager(&telemetry);
    let config = HelperConfig::local().api_endpoint(server.base()).model("m").max_retries(1);
    let helper = manager.spawn_helper(config).unwrap();
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    // The first call's end stands there while the second is under way.
    assert_eq!(events(&lines(&path), "backend_call").len(), 1);
    meeting.go();
    assert!(manager.wait_task(helper, task, LONG).unwrap().is_success());
    let lines = lines(&path);
    let [failed, call, end] = &lines[lines.len() - 3..] else { panic!("{lines:?}") };
    for (line, event, attempt, status) in [
        (failed, "backend_call", 1, Some(500)),
        (call, "backend_call", 2, Some(200)),
        (end, "task_complete", 2, None),
    ] {
        assert_eq!((&line["event"], &line["attempt"]), (&event.into(), &attempt.into()), "{line}");
        assert_eq!(line["http_status"].as_u64(), status, "{line}");
    }
    assert!(call["timestamp"].as_f64() <= end["timestamp"].as_f64());
    assert!(call["latency_ms"].as_f64() <= end["latency_ms"].as_f64());
    assert_eq!((&call["prompt_tokens"], &end["prompt_tokens"]), (&3.into(), &3.into()));
    assert!(call["waited_ms"].as_f64() > Some(0.0) && call["first_byte_ms"].is_number());
}
