//! Files in the audit file's place or beside it, and locks of others: an error at opening, or no
//! rotation and counted; never a wait, and no line lost.
#![cfg(unix)]

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use automation_assistant::{Error, HelperConfig, Telemetry, TelemetryStats};

use super::{Folder, events, lines, log, manager, run_tasks};
use crate::support::LONG;

/// So small that a few tasks fill it.
const BYTES: u64 = 2000;

/// Longer than the second after which a rotation that failed is tried again.
const AGAIN_MAX: Duration = Duration::from_secs(20);

/// Makes a named pipe.
pub fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The result of the work; a panic if it hangs.
pub fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    outcome.recv_timeout(LONG).expect("it hangs, or panicked")
}

/// Runs tasks until this is so.
fn tasks_until(telemetry: &Telemetry, so: impl Fn(&TelemetryStats) -> bool) {
    let manager = manager(telemetry);
    // Not as many as there is time for: each is a line.
    let paced = HelperConfig::local().custom_param("latency_ms", 2);
    let helper = manager.spawn_helper(paced).unwrap();
    let since = Instant::now();
    while !so(&telemetry.stats()) {
        assert!(since.elapsed() < AGAIN_MAX, "{:?}", telemetry.stats());
        run_tasks(&manager, helper, 1);
    }
}

/// Lines that can be read, in the audit file and the older ones.
fn lines_of_all(folder: &Folder) -> u64 {
    let names = folder.files().into_iter();
    let plain = names.map(|name| folder.join(&name)).filter(|path| path.is_file());
    plain.map(|path| lines(&path).len() as u64).sum()
}

#[test]
fn a_pipe_in_the_place_of_any_file_hangs_nothing() {
    let folder = Folder::new("pipes");
    // Rotating or not, and what comes of it.
    for (name, rotates, opens) in [
        ("a", false, false),
        ("a", true, false),
        ("a.1", false, true),
        ("a.1", true, true),
        ("a.lock", false, true),
        ("a.lock", true, false),
    ] {
        pipe(&folder.join(name));
        let path = folder.join("a");
        let (stats, error) = in_time(move || {
            let builder = Telemetry::builder(&path);
            let builder = if rotates { builder.rotate(BYTES, 3) } else { builder };
            match builder.build() {
                Ok(telemetry) => {
                    log(&telemetry, 40);
                    (Some(telemetry.stats()), String::new())
                }
                Err(error) => (None, error.to_string()),
            }
        });
        assert_eq!(stats.is_some(), opens, "{name} {rotates}");
        if let Some(stats) = stats {
            assert_eq!((stats.lines_lost, stats.rotations), (0, 0), "{name}");
            assert_eq!(stats.rotations_skipped > 0, rotates, "{name}");
        } else {
            assert!(error.contains("no plain file"), "{error}");
        }
        for file in folder.files() {
            fs::remove_file(folder.join(&file)).unwrap();
        }
    }
}

#[test]
fn what_is_no_plain_file_in_an_older_file_s_place_is_left_where_it_is() {
    let folder = Folder::new("older");
    let (path, older) = (folder.join("a"), folder.join("a.1"));
    let make: [fn(&Path); 3] = [
        |path| fs::create_dir_all(path.join("of/somebody")).unwrap(),
        |path| std::os::unix::fs::symlink("/nowhere/at/all", path).unwrap(),
        |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
    ];
    for (n, make) in make.into_iter().enumerate() {
        make(&older);
        let before = fs::symlink_metadata(&older).unwrap();
        // With the name below it free, too.
        for files in [1, 3] {
            let telemetry = Telemetry::builder(&path).rotate(BYTES, files).build().unwrap();
            log(&telemetry, 40);
            let stats = telemetry.stats();
            assert_eq!((stats.rotations, stats.lines_lost), (0, 0), "{n}");
            assert!(stats.rotations_skipped > 0 && stats.last_error.is_some(), "{stats:?}");
            let after = fs::symlink_metadata(&older).unwrap();
            assert_eq!(before.file_type(), after.file_type(), "{n}");
        }
        assert!(n > 0 || older.join("of/somebody").is_dir());
        let _ = fs::remove_file(&older).or_else(|_| fs::remove_dir_all(&older));
        tasks_until(&Telemetry::builder(&path).rotate(BYTES, 3).build().unwrap(), |stats| {
            stats.rotations > 0
        });
        fs::remove_file(&older).unwrap();
    }
}

#[test]
fn what_takes_a_removed_file_s_place_costs_lines_that_are_counted() {
    let folder = Folder::new("removed");
    let path = folder.join("a");
    let make: [fn(&Path); 3] = [
        |path| fs::create_dir(path).unwrap(),
        |path| std::os::unix::fs::symlink("/nowhere/at/all", path).unwrap(),
        pipe,
    ];
    for make in make {
        let telemetry = Telemetry::to_file(&path).unwrap();
        log(&telemetry, 1);
        fs::remove_file(&path).unwrap();
        make(&path);
        tasks_until(&telemetry, |stats| stats.lines_lost > 0);
        let lost = telemetry.stats().lines_lost;
        log(&telemetry, 1);
        assert!(telemetry.stats().lines_lost > lost, "from then on each of them");
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        log(&telemetry, 1);
        let lost = telemetry.stats().lines_lost;
        let reported = lines(&path).into_iter().find(|line| line["event"] == "lines_lost");
        assert_eq!(reported.unwrap()["lines"], lost);
        drop(telemetry);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_takes_the_lock_file_s_place_while_it_runs_stops_rotation_alone() {
    let folder = Folder::new("lockplace");
    let (path, lock) = (folder.join("a"), folder.join("a.lock"));
    let make: [fn(&Path); 3] = [
        pipe,
        |path| fs::create_dir(path).unwrap(),
        |path| std::os::unix::fs::symlink("/nowhere/at/all", path).unwrap(),
    ];
    for make in make {
        let telemetry = Telemetry::builder(&path).rotate(BYTES, 3).build().unwrap();
        fs::remove_file(&lock).unwrap();
        make(&lock);
        let (telemetry, stats) = in_time(move || {
            log(&telemetry, 40);
            let stats = telemetry.stats();
            (telemetry, stats)
        });
        assert_eq!((stats.rotations, stats.lines_lost), (0, 0));
        assert!(stats.rotations_skipped > 0 && stats.last_error.is_some(), "{stats:?}");
        drop(telemetry);
        assert_eq!(lines(&path).len() as u64, stats.lines_written + 1);
        let _ = fs::remove_file(&lock).or_else(|_| fs::remove_dir(&lock));
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn while_somebody_holds_the_lock_the_file_grows_and_then_it_is_rotated() {
    let folder = Folder::new("held");
    let path = folder.join("a");
    let telemetry = Telemetry::builder(&path).rotate(BYTES, 3).build().unwrap();
    let lock = File::open(folder.join("a.lock")).unwrap();
    lock.lock().unwrap();
    let since = Instant::now();
    log(&telemetry, 100);
    let stats = telemetry.stats();
    assert_eq!((stats.rotations, stats.lines_lost), (0, 0));
    // At once, and then each second.
    assert!((1..=2 + since.elapsed().as_secs()).contains(&stats.rotations_skipped), "{stats:?}");
    assert!(fs::metadata(&path).unwrap().len() > 10 * BYTES);
    drop(lock);
    tasks_until(&telemetry, |stats| stats.rotations > 0);
    assert_eq!(lines_of_all(&folder), telemetry.stats().lines_written);
}

#[test]
fn an_older_file_that_somebody_has_open_does_not_go() {
    let folder = Folder::new("inuse");
    let path = folder.join("a");
    let telemetry = Telemetry::builder(&path).rotate(BYTES, 2).build().unwrap();
    tasks_until(&telemetry, |stats| stats.rotations == 1);
    let oldest = File::open(folder.join("a.1")).unwrap();
    oldest.lock_shared().unwrap();
    tasks_until(&telemetry, |stats| stats.rotations == 5);
    assert_eq!(telemetry.stats().rotations_skipped, 0, "the other one went, again and again");
    // It went up to the oldest's place, and stayed there.
    let kept = fs::metadata(folder.join("a.2")).unwrap();
    assert!(
        std::os::unix::fs::MetadataExt::ino(&kept) == {
            std::os::unix::fs::MetadataExt::ino(&oldest.metadata().unwrap())
        }
    );
    let younger = File::open(folder.join("a.1")).unwrap();
    younger.lock_shared().unwrap();
    tasks_until(&telemetry, |stats| stats.rotations_skipped > 0);
    assert_eq!((telemetry.stats().rotations, telemetry.stats().lines_lost), (5, 0));
    drop((oldest, younger));
    tasks_until(&telemetry, |stats| stats.rotations > 5);
}

#[test]
fn a_name_too_long_for_rotation_s_suffix_is_an_error_at_opening() {
    let folder = Folder::new("long");
    // A name may have 255 bytes; `.lock` takes five, `.1000000` eight.
    for (len, files, rotates) in
        [(255, 1, false), (251, 1, false), (250, 9, true), (248, 1_000_000, false)]
    {
        let path = folder.join(&"x".repeat(len));
        let opened = Telemetry::builder(&path).rotate(BYTES, files).build();
        assert_eq!(opened.is_ok(), rotates, "{len} {files}");
        if let Err(error) = opened {
            assert!(format!("{error:?}").contains("it cannot be rotated"), "{error:?}");
        }
        log(&Telemetry::to_file(&path).unwrap(), 1);
    }
}

#[test]
fn a_hard_linked_file_keeps_what_its_other_owner_wrote() {
    let folder = Folder::new("hardlink");
    let (victim, path) = (folder.join("victim"), folder.join("a"));
    fs::write(&victim, "first\nlast, without a newline").unwrap();
    fs::hard_link(&victim, &path).unwrap();
    let telemetry = Telemetry::to_file(&path).unwrap();
    log(&telemetry, 1);
    assert_eq!((telemetry.stats().torn_closed, telemetry.stats().lines_lost), (1, 0));
    let text = fs::read_to_string(&victim).unwrap();
    assert!(text.starts_with("first\nlast, without a newline\n{"), "{text}");
}

#[test]
fn a_lock_file_that_a_killed_process_left_says_nothing() {
    let folder = Folder::new("left");
    let path = folder.join("a");
    fs::write(folder.join("a.lock"), "").unwrap();
    fs::write(&path, "{\"a\":1}\ntorn").unwrap();
    let telemetry = Telemetry::builder(&path).rotate(1 << 20, 3).build().unwrap();
    assert_eq!(lines(&path)[1]["bytes_dropped"], 4);
    drop(telemetry);
    assert_eq!(folder.files(), ["a", "a.lock"]);
}

#[test]
fn an_exclusive_lock_on_the_file_itself_is_an_error_at_opening() {
    let folder = Folder::new("exclusive");
    let path = folder.join("a");
    fs::write(&path, "").unwrap();
    let holder = File::open(&path).unwrap();
    holder.lock().unwrap();
    let error = Telemetry::to_file(&path).unwrap_err();
    assert!(format!("{error:?}").contains("exclusive lock"), "{error:?}");
    drop(holder);
    log(&Telemetry::to_file(&path).unwrap(), 1);
    assert_eq!(events(&lines(&path), "task_complete").len(), 1);
}

/// A folder of 30,000 files made each lost line a hundred times slower.
#[test]
fn no_folder_is_read_for_an_audit_file() {
    for folder in ["src/telemetry", "src/files"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files = 0;
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.to_string_lossy().ends_with("_tests.rs");
            assert!(
                is_test || !fs::read_to_string(&path).unwrap().contains("read_dir"),
                "{path:?}"
            );
            files += 1;
        }
        assert!(files > 3, "{folder}");
    }
}

/// Set by `tests/faults.sh`, which makes a system call fail under these.
const TRACED: &str = "AA_TEST_TRACED";

/// A torn file is closed and written to; nothing of it is cut or lost.
fn nothing_is_cut(rotates: bool) {
    let folder = Folder::new("traced");
    let path = folder.join("a");
    fs::write(&path, "{\"whole\":1}\n{\"torn").unwrap();
    let telemetry = Telemetry::builder(&path).rotate(BYTES, 100).build().unwrap();
    log(&telemetry, 40);
    let stats = telemetry.stats();
    assert_eq!((stats.torn_closed, stats.lines_lost), (1, 0), "{stats:?}");
    assert_eq!((stats.rotations > 0, stats.rotations_skipped > 0), (rotates, !rotates));
    drop(telemetry);
    let text: String = folder
        .files()
        .iter()
        .filter(|name| !name.ends_with(".lock"))
        .map(|name| fs::read_to_string(folder.join(name)).unwrap())
        .collect();
    assert!(text.contains("{\"whole\":1}\n{\"torn\n{"), "{text}");
    // The whole line, the torn one, and the one that ends the run.
    assert!(text.lines().count() as u64 <= stats.lines_written + 3);
}

#[test]
#[ignore = "for tests/faults.sh: flock fails"]
fn without_locks_nothing_is_cut_or_rotated() {
    if std::env::var_os(TRACED).is_some() {
        nothing_is_cut(false);
    }
}

#[test]
#[ignore = "for tests/faults.sh: ftruncate fails"]
fn where_nothing_can_be_cut_it_is_closed() {
    if std::env::var_os(TRACED).is_some() {
        nothing_is_cut(true);
    }
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
