//! One task over a kept connection: wall time and system calls, beside bare ureq.

use std::process::Command;

use crate::programs::{self, Running, SIZE_HTTP, TOOLS, scratch};
use crate::report::{Goal, Report, Row};
use crate::{Fault, Options};

/// Tasks of one round, and of a traced run beyond those that warm up.
const TASKS: u32 = 200;
const WARM_UP: u32 = 10;
const TIME_MAX: f64 = 1.0;
const SYSTEM_CALLS_MAX: f64 = 12.0;

pub(crate) fn measure(_: &Options, report: &mut Report) -> Result<(), Fault> {
    let tools = programs::build(&TOOLS)?;
    let calls = programs::build(&SIZE_HTTP)?.join("calls");
    let mut server = Running::start(Command::new(tools.join("server")).args(["plain", "answer"]))?;
    let base = format!("http://{}/v1", server.line_after("READY")?);
    // The server's lines must not fill its pipe.
    let drain = std::thread::spawn(move || while server.line().is_ok() {});
    let printed =
        programs::output(Command::new(&calls).args(["both", &base]).arg(TASKS.to_string()))?;
    let mut nanoseconds = printed.split_whitespace().map(str::parse::<f64>);
    let (Some(Ok(ours)), Some(Ok(bare))) = (nanoseconds.next(), nanoseconds.next()) else {
        return Err(format!("calls: {printed}").into());
    };
    report.add(
        Row::new("a task over a kept plain connection, the shortest of 40 rounds", "x")
            .floor("bare ureq on a thread of its own", 1.0)
            .us("us", ours / bare)
            .goal(Goal::AtMost(TIME_MAX))
            .note(format!("{ours:.0} ns and {bare:.0} ns")),
    );
    let row = Row::new("the same, by strace", "system calls of the whole process");
    report.add(match (traced(&calls, "bare", &base), traced(&calls, "ours", &base)) {
        (Ok(bare), Ok(ours)) => {
            row.floor("bare ureq", bare).us("us", ours).goal(Goal::AtMost(SYSTEM_CALLS_MAX))
        }
        (Err(why), _) | (_, Err(why)) => row.absent("strace", &why.to_string()),
    });
    // It ends with the server, which ends with this process.
    drop(drain);
    Ok(())
}

/// System calls of one task beyond the first ones.
fn traced(calls: &std::path::Path, who: &str, base: &str) -> Result<f64, Fault> {
    let sum = |tasks: u32| -> Result<f64, Fault> {
        let out = scratch("calls.strace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-c", "-U", "calls,name", "-o"]).arg(&out).arg(calls);
        programs::output(command.args([who, base]).arg(tasks.to_string()))?;
        let text = std::fs::read_to_string(&out)?;
        let total = text.lines().find(|line| line.trim_end().ends_with("total"));
        let number = total.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| "strace printed no total".into())
    };
    Ok((sum(WARM_UP + TASKS)? - sum(WARM_UP)?) / f64::from(TASKS))
}
