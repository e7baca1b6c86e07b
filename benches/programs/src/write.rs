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

/// Passes the first task's last events to a closure, which can report them any number of times.
struct Repeat {
    telemetry: Telemetry,
    work: Mutex<Option<Work>>,
    /// The task's call and its end, and not its end alone.
    both: bool,
}

impl Observe for Repeat {
    fn on_events(&self, events: &[Event<'_>]) -> bool {
        let [_call, end] = events else { return false };
        if end.kind() == EventKind::TaskComplete {
            if let Some(mut work) = self.work.lock().unwrap().take() {
                match self.both {
                    true => work(&|| assert!(self.telemetry.on_events(events))),
                    false => work(&|| self.telemetry.on_event(end)),
                }
            }
        }
        true
    }
}

/// Runs the work within a real event, the end of a task; its argument writes that event as one
/// line.
pub fn within_event(path: &Path, work: impl FnMut(&dyn Fn()) + Send + 'static) {
    within(Telemetry::to_file(path).unwrap(), false, work);
}

/// The same with the task's call before its end: two lines, as they come.
#[allow(dead_code)]
pub fn within_both(path: &Path, work: impl FnMut(&dyn Fn()) + Send + 'static) {
    within(Telemetry::to_file(path).unwrap(), true, work);
}

/// Such work, with an audit file of one's own settings.
pub fn within(telemetry: Telemetry, both: bool, work: impl FnMut(&dyn Fn()) + Send + 'static) {
    let repeat = Repeat { telemetry, work: Mutex::new(Some(Box::new(work))), both };
    let helper = AutomationHelper::builder(HelperConfig::local())
        .observer(Arc::new(repeat))
        .build()
        .unwrap();
    helper.start().unwrap();
    let task = helper.submit_task("x").unwrap();
    // The work happens while the task completes.
    helper.wait_task(task, Duration::from_secs(600)).unwrap();
}
