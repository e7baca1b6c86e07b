//! The cost of idle helpers: none.

use std::process::Command;
use std::time::Duration;

use crate::programs::{self, Running, SIZE_CORE};
use crate::report::{Goal, Report, Row};
use crate::{Fault, Options};

const HELPERS: &str = "8";
const WATCH: Duration = Duration::from_secs(30);
/// For the gate: a poll once a second would show eighty times.
const WATCH_CHECK: Duration = Duration::from_secs(10);

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Fault> {
    let folder = programs::build(&SIZE_CORE)?;
    let mut command = Command::new(folder.join("local"));
    let mut running = Running::start(command.args(["1", "wait", HELPERS]))?;
    running.line_after("READY")?;
    // The threads are on their way to sleep.
    crate::process::memory(running.id())?;
    let watch = if options.check { WATCH_CHECK } else { WATCH };
    let before = crate::process::sleeps(running.id())?;
    std::thread::sleep(watch);
    let wake_ups = (crate::process::sleeps(running.id())? - before) as f64;
    running.end()?;
    let seconds = watch.as_secs();
    report.add(
        Row::new(format!("wake-ups of {HELPERS} idle helpers in {seconds} s"), "wake-ups")
            .floor("a blocking recv()", 0.0)
            .us("us", wake_ups)
            .goal(Goal::AtMost(0.0)),
    );
    report.gate("wake_ups.idle", wake_ups);
    Ok(())
}
