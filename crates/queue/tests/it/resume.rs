//! The program `resume`, killed and run again.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Folder, example};

/// Runs it until it ends, or is killed after so long; gives its whole lines, and whether it
/// ended by itself.
fn run(
    file: &Path,
    jobs: u32,
    latency_ms: u32,
    kill_after: Option<Duration>,
) -> (Vec<String>, bool) {
    let mut child = Command::new(example("resume"))
        .arg(file)
        .args(["--jobs", &jobs.to_string(), "--latency-ms", &latency_ms.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = std::thread::spawn(move || out.lines().map_while(Result::ok).collect::<Vec<_>>());
    if let Some(after) = kill_after {
        let until = Instant::now() + after;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
    }
    let ended = child.wait().unwrap().success();
    (lines.join().unwrap(), ended)
}

fn finished(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| line.strip_prefix("finished "))
}

#[test]
fn it_goes_on_wherever_it_was_killed() {
    let folder = Folder::new();
    let file = folder.file("jobs");
    let jobs = 60;
    let mut runs = Vec::new();
    // Each run gets a little further: a kill falls in its very begin, too.
    for n in 0..200 {
        let (lines, ended) = run(&file, jobs, 5, Some(Duration::from_millis(3 * n + 1)));
        runs.push(lines);
        if ended {
            break;
        }
    }
    let last = runs.last().unwrap();
    assert_eq!(last.last().map(String::as_str), Some("all 60 jobs finished"));
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (n, lines) in runs.iter().enumerate() {
        for (place, key) in finished(lines).enumerate() {
            if let Some(before) = seen.insert(key, n) {
                // Again only where the kill may have swallowed it: the last of the run before
                // that printed any, and first in this one.
                let earlier = finished(&runs[before]).last();
                assert_eq!((place, earlier), (0, Some(key)), "run {n} after {before}");
            }
        }
    }
    assert_eq!(seen.len(), jobs as usize);
    // Once more: nothing is left, nothing is repeated.
    let (lines, ended) = run(&file, jobs, 5, None);
    assert!(ended);
    assert_eq!(
        (finished(&lines).count(), lines.last().map(String::as_str)),
        (0, Some("all 60 jobs finished"))
    );
}

#[test]
fn a_second_run_on_the_same_file_is_refused_at_once_and_names_it() {
    let folder = Folder::new();
    let file = folder.file("jobs");
    let mut first = Command::new(example("resume"))
        .arg(&file)
        .args(["--jobs", "1", "--latency-ms", "30000"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let second =
        || Command::new(example("resume")).arg(&file).args(["--jobs", "1"]).output().unwrap();
    // The lock comes before the first byte.
    crate::support::until("the first has the file", || {
        std::fs::metadata(&file).is_ok_and(|file| file.len() > 0)
    });
    let begun = Instant::now();
    let refused = second();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let _ = first.kill();
    let _ = first.wait();
    assert!(said.contains("is in use") && said.contains("jobs"), "{said}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused_with_the_usage() {
    for args in [
        &[][..],
        &["file"],
        &["file", "--jobs", "x"],
        &["--jobs", "1"],
        &["f", "--jobs", "1", "--x"],
    ] {
        let out = Command::new(example("resume")).args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&out.stderr).contains("usage:"), "{args:?}");
    }
}
