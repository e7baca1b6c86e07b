//! Other processes that write to the soak's audit file meanwhile, and rotate it as it does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use automation_assistant::{HelperConfig, Telemetry};

use crate::support::this_program;
use crate::telemetry::{Folder, manager, run_tasks};

/// With the soak itself, four processes.
const SIBLINGS: usize = 3;
/// Some hundreds of lines.
const ROTATE_AT: u64 = 64 << 10;
/// More than a round fills: none is dropped.
const FILES_MAX: u32 = 100_000;
/// Between two tasks of a sibling: they are there to share the file, not to keep the machine
/// busy.
const PACE: Duration = Duration::from_millis(2);

const CHILD: &str = "AA_SOAK_SIBLING";

pub(super) fn rotating(path: &Path) -> Telemetry {
    Telemetry::builder(path).rotate(ROTATE_AT, FILES_MAX).build().unwrap()
}

pub(super) struct Siblings(Vec<Child>);

impl Siblings {
    pub(super) fn start(path: &Path) -> Self {
        let start = |_| {
            this_program()
                .args(["--exact", "soak::siblings::child", "--nocapture", "--ignored"])
                .env(CHILD, path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        Self((0..SIBLINGS).map(start).collect())
    }

    /// Ends the siblings, checks that all their lines are there, and puts those of this run into
    /// a file.
    pub(super) fn finish(self, folder: &Folder, run_id: &str) -> PathBuf {
        let written: Vec<String> = self.0.into_iter().map(end).collect();
        let mut written: BTreeMap<&str, u64> = written
            .iter()
            .map(|said| said.split_once(' ').unwrap())
            .map(|(run, written)| (run, written.parse().unwrap()))
            .collect();
        let path = folder.join("ours");
        let files: Vec<_> =
            folder.files().into_iter().filter(|name| !name.ends_with(".lock")).collect();
        assert!(files.len() > 1, "it rotated");
        let mut ours = BufWriter::new(File::create(&path).unwrap());
        for file in files {
            for line in fs::read_to_string(folder.join(&file)).unwrap().lines() {
                let (_, run) = line.split_once("\"run_id\":\"").unwrap();
                let (run, _) = run.split_once('"').unwrap();
                if let Some(left) = written.get_mut(run) {
                    *left -= 1;
                } else {
                    assert_eq!(run, run_id, "{line}");
                    writeln!(ours, "{line}").unwrap();
                }
            }
        }
        assert!(
            written.values().all(|left| *left == 0),
            "lines of siblings that are gone: {written:?}"
        );
        ours.flush().unwrap();
        path
    }
}

/// A sibling ends when its input does; prints its run and how many lines it wrote.
fn end(mut child: Child) -> String {
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let said = text.lines().find_map(|line| line.split_once("wrote "));
    said.unwrap().1.to_owned()
}

#[test]
#[ignore = "no test by itself: a process beside the soak"]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            over.store(true, Ordering::SeqCst);
        });
        let telemetry = rotating(Path::new(&path));
        let manager = manager(&telemetry);
        let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
        while !over.load(Ordering::SeqCst) {
            run_tasks(&manager, helper, 1);
            std::thread::sleep(PACE);
        }
        drop(manager);
        assert_eq!(telemetry.stats().lines_lost, 0);
        // And the line that ends the run.
        println!("wrote {} {}", telemetry.run_id(), telemetry.stats().lines_written + 1);
    });
}
