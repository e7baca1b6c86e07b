//! How much the library takes: bytes, memory, threads, allocations, time.
//!
//! ```text
//! cargo bench                        every row, as tables (without the heavy peers)
//! cargo bench -- dispatch telemetry  rows by name
//! cargo bench -- --peers             the heavy peers too: builds benches/peers, minutes
//! cargo bench -- --json              one JSON document instead of tables
//! cargo bench -- --check             fails where a figure is worse than benches/budget.json
//! cargo bench -- --write-budget      writes that file anew
//! ```
//!
//! The harness only builds, starts and watches small programs (benches/programs,
//! benches/peers), each in a process of its own; every row shows floor, ours and peers as
//! measured in this one run. Figures come from /proc, so it needs Linux.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod budget;
mod calls;
mod capi;
mod debrief;
mod dispatch;
mod idle;
mod in_flight;
mod process;
mod programs;
mod report;
mod rest;
mod sizes;
mod stack;
mod start;
mod telemetry;

use std::process::ExitCode;

use report::Report;

/// An error here ends the run, with its reason.
type Fault = Box<dyn std::error::Error>;

/// How a run was asked for.
#[derive(Debug, Default, Clone)]
struct Options {
    /// Rows by name; all if empty.
    rows: Vec<String>,
    peers: bool,
    json: bool,
    check: bool,
    write_budget: bool,
}

type Measure = fn(&Options, &mut Report) -> Result<(), Fault>;

/// All rows, and whether `--check` needs them: times are no gates.
const ROWS: [(&str, Measure, bool); 10] = [
    ("sizes", sizes::measure, true),
    ("memory", in_flight::measure, true),
    ("rest", rest::measure, true),
    ("stack", stack::measure, false),
    ("dispatch", dispatch::measure, true),
    ("calls", calls::measure, false),
    ("telemetry", telemetry::measure, true),
    ("debrief", debrief::measure, true),
    ("start", start::measure, false),
    ("idle", idle::measure, true),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("footprint: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Fault> {
    let options = options(std::env::args().skip(1))?;
    let mut report = Report::new(!options.json);
    for (name, measure, gated) in ROWS {
        let chosen = match options.rows.is_empty() {
            true => gated || !options.check,
            false => options.rows.iter().any(|row| row == name),
        };
        if chosen {
            report.begin(name);
            measure(&options, &mut report)?;
        }
    }
    if options.json {
        println!("{}", report.to_json());
    }
    if options.write_budget {
        budget::write(&report)?;
    }
    let whole = options.rows.is_empty();
    if options.check { budget::check(&report, whole) } else { Ok(true) }
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, Fault> {
    let mut options = Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--peers" => options.peers = true,
            "--json" => options.json = true,
            "--check" => options.check = true,
            "--write-budget" => options.write_budget = true,
            // Cargo's own.
            "--bench" => {}
            name if ROWS.iter().any(|(row, ..)| *row == name) => options.rows.push(argument),
            other => {
                let rows = ROWS.map(|(name, ..)| name).join(", ");
                return Err(format!("{other}? Rows are: {rows}").into());
            }
        }
    }
    Ok(options)
}
