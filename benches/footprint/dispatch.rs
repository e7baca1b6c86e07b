//! No-op tasks through the library and through pools: time and allocations a task.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{available_parallelism, scope};

use crate::programs::{self, PEER_TOOLS, TOOLS};
use crate::report::{Goal, Report, Role, Row, median};
use crate::{Fault, Options};

const TIMES_BY_HAND_MAX: f64 = 1.2;
const ALLOCATIONS_MAX: f64 = 4.0;
const BY_HAND: &str = "crossbeam + map by hand";

const SHAPES: [&str; 4] = ["round-trip-1x1", "pipelined-1x1", "round-trip-4x3", "pipelined-4x3"];

/// Wall and processor nanoseconds of each round, sorted, by shape and contender.
type Times = BTreeMap<(String, String), [Vec<f64>; 2]>;

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Fault> {
    let tools = programs::build(&TOOLS)?;
    if !options.check {
        let mut programs = vec![tools.join("dispatch")];
        if options.peers {
            programs.push(programs::build_in("peers", &PEER_TOOLS)?.join("pools"));
        }
        let times = run(&programs)?;
        SHAPES.iter().for_each(|shape| add(report, &times, shape, ""));
        let times = under_load(|| run(&programs))?;
        let beside = ", with a busy thread for each processor beside it";
        SHAPES.iter().for_each(|shape| add(report, &times, shape, beside));
    }
    allocations(&tools, report)
}

fn run(programs: &[std::path::PathBuf]) -> Result<Times, Fault> {
    let mut times = Times::new();
    for program in programs {
        read(&programs::output(&mut Command::new(program))?, &mut times)?;
    }
    times.values_mut().flatten().for_each(|rounds| rounds.sort_unstable_by(f64::total_cmp));
    Ok(times)
}

/// Does this while as many threads as there are processors count in a loop.
fn under_load<T>(work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    scope(|threads| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}

/// Reads lines `CONTENDER SHAPE WALL CPU`, one for each round.
fn read(text: &str, times: &mut Times) -> Result<(), Fault> {
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [name, shape, wall, cpu] = words[..] else { return Err(line.into()) };
        let [walls, cpus] = times.entry((shape.to_owned(), name.to_owned())).or_default();
        walls.push(wall.parse()?);
        cpus.push(cpu.parse()?);
    }
    Ok(())
}

fn add(report: &mut Report, times: &Times, shape: &str, beside: &str) {
    for (at, what) in ["wall", "processor"].into_iter().enumerate() {
        let mut row = Row::new(format!("{shape}, {what}{beside}"), "ns a task");
        for ((_, name), rounds) in times.iter().filter(|((of, _), _)| of == shape) {
            let (role, name) = match name.as_str() {
                "by-hand" => (Role::Floor, BY_HAND),
                "us" => (Role::Us, "us"),
                other => (Role::Peer, other),
            };
            let mut rounds = rounds[at].clone();
            let range = match &rounds[..] {
                [least, .., most] => format!("{least:.0} to {most:.0}"),
                _ => String::new(),
            };
            row = row.entry(role, name, Some(median(&mut rounds)), &range);
        }
        if what == "wall" {
            row = row.goal(Goal::TimesFloor(TIMES_BY_HAND_MAX));
        }
        report.add(row);
    }
}

fn allocations(tools: &Path, report: &mut Report) -> Result<(), Fault> {
    let mut command = Command::new(tools.join("allocations"));
    let text = programs::output(command.arg(programs::scratch("")))?;
    let figure = |name: &str| -> Result<f64, Fault> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.ok_or_else(|| format!("no {name}"))?.parse()?)
    };
    for shape in ["round-trip", "pipelined"] {
        let ours = figure(&format!("us-{shape}"))?;
        report.add(
            Row::new(
                format!("allocations, {shape}: prompt, reply, id, and a copy to read"),
                "a task",
            )
            .floor(BY_HAND, figure(&format!("by-hand-{shape}"))?)
            .us("us", ours)
            .goal(Goal::AtMost(ALLOCATIONS_MAX)),
        );
        report.gate(format!("allocations.{shape}"), ours);
    }
    Ok(())
}
