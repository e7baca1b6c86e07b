//! Memory of a Local-only program at rest, and after ten thousand tasks.

use std::process::Command;

use crate::process::Memory;
use crate::programs::{self, Running, SIZE_CORE};
use crate::report::{Report, Row};
use crate::{Fault, Options};

const MANY: &str = "10000";
/// Starts; the middle figure counts, as for the memory in flight.
const RUNS: usize = 5;

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<(), Fault> {
    let folder = programs::build(&SIZE_CORE)?;
    let after = |tasks: &str| -> Result<Memory, Fault> {
        let mut command = Command::new(folder.join("local"));
        let mut running = Running::start(command.args([tasks, "wait"]))?;
        running.line_after("READY")?;
        let memory = crate::process::memory(running.id())?;
        running.end().map(|()| memory)
    };
    for (key, tasks, what) in [
        ("rest", "0", "one helper at rest"),
        ("one_task", "1", "after one task"),
        ("many_tasks", MANY, "after 10,000 tasks, 1,024 results kept"),
    ] {
        let runs = (0..RUNS).map(|_| after(tasks)).collect::<Result<Vec<_>, _>>()?;
        let memory = crate::process::middle(&runs);
        for (unit, value) in [("PSS, KiB", memory.pss), ("written to, KiB", memory.written)] {
            report.add(Row::new(what, unit).us("Local-only", value as f64));
        }
        report.gate(format!("memory.local_{key}_kib"), memory.written as f64);
        report.gate(format!("threads.local_{key}"), memory.threads as f64);
    }
    Ok(())
}
