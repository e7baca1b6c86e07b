//! Allocations counted, in a binary of its own: the counter is the whole program's allocator.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, Event, HelperConfig, Observe, Telemetry};

/// Longer than any of this takes.
const LONG: Duration = Duration::from_secs(20);

/// Counts allocations on the threads that call this observer.
struct Counting {
    telemetry: Telemetry,
    lines: AtomicU64,
    allocations: AtomicU64,
}

impl Observe for Counting {
    fn on_event(&self, event: &Event<'_>) {
        let found = allocation_counter::measure(|| self.telemetry.on_event(event));
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.allocations.fetch_add(found.count_total, Ordering::Relaxed);
    }
}

#[test]
fn a_line_costs_no_allocation() {
    /// More lines than go by between two checks of the file (256), several times.
    const TASKS: u64 = 1000;
    let path = std::env::temp_dir().join(format!("aa-alloc-{}.jsonl", std::process::id()));
    let counting = Arc::new(Counting {
        telemetry: Telemetry::to_file(&path).unwrap(),
        lines: AtomicU64::new(0),
        allocations: AtomicU64::new(0),
    });
    let manager = AutomationAssistantManager::builder().observer(counting.clone()).build().unwrap();
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    for _ in 0..TASKS {
        let id = manager.submit_task(helper, "work").unwrap();
        manager.wait_task(helper, id, LONG).unwrap();
        manager.take_task_result(helper, id);
    }
    manager.terminate_all();
    assert_eq!(counting.lines.load(Ordering::Relaxed), 2 * TASKS + 2);
    assert_eq!(counting.telemetry.stats().lines_written, 2 * TASKS + 2);
    assert_eq!(counting.allocations.load(Ordering::Relaxed), 0);
    std::fs::remove_file(&path).unwrap();
}
