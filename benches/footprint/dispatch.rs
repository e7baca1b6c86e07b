//! No-op tasks through the library and through pools: time and allocations a task.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::programs::{self, PEER_TOOLS, TOOLS};
use crate::report::{Goal, Report, Role, Row, median};
use crate::{Fault, Options};

const TIMES_BY_HAND_MAX: f64 = 1.2;
const ALLOCATIONS_MAX: f64 = 4.0;
const BY_HAND: &str = "crossbeam + map by hand";

/// Wall and processor nanoseconds, by shape and contender; of several rounds the middle one.
pub(crate) type Times = BTreeMap<(String, String), (f64, f64)>;

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Fault> {
    let tools = programs::build(&TOOLS)?;
    if !options.check {
        let mut times = read(&programs::output(&mut Command::new(tools.join("dispatch")))?)?;
        if options.peers {
            let folder = programs::build_in("peers", &PEER_TOOLS)?;
            times.extend(read(&programs::output(&mut Command::new(folder.join("pools")))?)?);
        }
        for shape in ["round-trip-1x1", "pipelined-1x1", "round-trip-4x3", "pipelined-4x3"] {
            add_rows(report, &times, shape);
        }
    }
    allocations(&tools, report)
}

/// Reads lines `CONTENDER SHAPE WALL CPU`.
fn read(text: &str) -> Result<Times, Fault> {
    let mut rounds: BTreeMap<(String, String), (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [name, shape, wall, cpu] = words[..] else { return Err(line.into()) };
        let all = rounds.entry((shape.to_owned(), name.to_owned())).or_default();
        all.0.push(wall.parse()?);
        all.1.push(cpu.parse()?);
    }
    let middle = rounds
        .into_iter()
        .map(|(key, (mut wall, mut cpu))| (key, (median(&mut wall), median(&mut cpu))));
    Ok(middle.collect())
}

fn add_rows(report: &mut Report, times: &Times, shape: &str) {
    let contenders = || times.iter().filter(|((at, _), _)| at == shape);
    for (what, unit, pick) in [
        ("wall", "ns a task", (|t| t.0) as fn(&(f64, f64)) -> f64),
        ("processor", "ns a task", |t| t.1),
    ] {
        let mut row = Row::new(format!("{shape}, {what}"), unit);
        for ((_, name), time) in contenders() {
            let (role, name) = match name.as_str() {
                "by-hand" => (Role::Floor, BY_HAND),
                "us" => (Role::Us, "us"),
                other => (Role::Peer, other),
            };
            row = row.entry(role, name, Some(pick(time)), "");
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
