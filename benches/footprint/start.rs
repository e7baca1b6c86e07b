//! From the start of a process to its first Local result, and its end.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::programs::{self, SIZE_CORE};
use crate::report::{Goal, Report, Row, median};
use crate::{Fault, Options};

const TIMES_EMPTY_MAX: f64 = 1.5;
/// Starts of each program, taking turns.
const RUNS: usize = 400;

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<(), Fault> {
    let folder = programs::build(&SIZE_CORE)?;
    let names = ["empty", "threads_crossbeam", "local"];
    let mut times = names.map(|_| Vec::with_capacity(RUNS));
    for _ in 0..RUNS {
        for (name, times) in names.iter().zip(&mut times) {
            let mut command = Command::new(folder.join(name));
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let began = Instant::now();
            let status = command.status()?;
            times.push(began.elapsed().as_nanos() as f64 / 1e3);
            if !status.success() {
                return Err(format!("{name}: {status}").into());
            }
        }
    }
    let [empty, pool, local] = times.map(|mut times| median(&mut times));
    report.add(
        Row::new(format!("start to exit, one task done, median of {RUNS}"), "µs")
            .floor("empty main", empty)
            .floor("threads + crossbeam-channel", pool)
            .us("one Local helper, one result", local)
            .goal(Goal::TimesFloor(TIMES_EMPTY_MAX)),
    );
    Ok(())
}
