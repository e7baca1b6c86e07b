//! A bare write(2) per line, and the library's audit file, both driven by one real event.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use automation_assistant::{AutomationHelper, Event, EventKind, HelperConfig, Observe, Telemetry};

#[allow(dead_code)]
pub fn open(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

#[allow(dead_code)]
/// The floor: a line that is ready, one write each.
pub fn bare(file: &mut File, line: &[u8], lines: usize) {
    for _ in 0..lines {
        file.write_all(line).unwrap();
    }
}

type Work = Box<dyn FnMut(&dyn Fn()) + Send>;

/// Hands the first task's completion to some work, which can tell it as often as it likes.
struct Repeat {
    telemetry: Telemetry,
    work: Mutex<Option<Work>>,
}

impl Observe for Repeat {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind == EventKind::TaskComplete {
            if let Some(mut work) = self.work.lock().unwrap().take() {
                work(&|| self.telemetry.on_event(event));
            }
        }
    }
}

/// Runs the work within a real event; its argument writes that event as one line.
pub fn within_event(path: &Path, work: impl FnMut(&dyn Fn()) + Send + 'static) {
    within_event_to(Telemetry::to_file(path).unwrap(), work);
}

/// The same, with an audit file of one's own settings.
pub fn within_event_to(telemetry: Telemetry, work: impl FnMut(&dyn Fn()) + Send + 'static) {
    let repeat = Repeat { telemetry, work: Mutex::new(Some(Box::new(work))) };
    let helper = AutomationHelper::builder(HelperConfig::local())
        .observer(Arc::new(repeat))
        .build()
        .unwrap();
    helper.start().unwrap();
    let task = helper.submit_task("x").unwrap();
    // The work happens while the task completes.
    helper.wait_task(task, Duration::from_secs(600)).unwrap();
}
