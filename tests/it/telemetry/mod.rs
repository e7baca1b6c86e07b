//! The audit file: what stands in it, and what it survives.

mod disk;
mod ends;
mod kill;
mod lines;
pub mod places;
mod rotation;
mod runs;
mod storm;
mod syncs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use automation_assistant::{AutomationAssistantManager, HelperConfig, HelperId, Telemetry};
use serde_json::Value;

use crate::support::LONG;

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
