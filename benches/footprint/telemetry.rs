//! Audit lines: time against a bare write each, and allocations.

use std::collections::BTreeMap;
use std::process::Command;

use crate::programs::{self, PEER_TOOLS, TOOLS};
use crate::report::{Goal, Report, Role, Row, median};
use crate::{Fault, Options};

const TIMES_WRITE_MAX: f64 = 1.1;

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Fault> {
    let tools = programs::build(&TOOLS)?;
    let scratch = programs::scratch("");
    if !options.check {
        let mut text = programs::output(Command::new(tools.join("lines")).arg(&scratch))?;
        if options.peers {
            let folder = programs::build_in("peers", &PEER_TOOLS)?;
            text += &programs::output(Command::new(folder.join("writers")).arg(&scratch))?;
        }
        times(report, &text)?;
    }
    let text = programs::output(Command::new(tools.join("allocations")).arg(&scratch))?;
    let line = text.lines().find_map(|line| line.strip_prefix("line "));
    let allocations: f64 = line.ok_or("no figure for lines")?.parse()?;
    report.add(
        Row::new("allocations", "a line")
            .floor("a bare write", 0.0)
            .us("us", allocations)
            .goal(Goal::AtMost(0.0)),
    );
    report.gate("allocations.line", allocations);
    Ok(())
}

/// Reads lines `CONTENDER WALL CPU`.
fn times(report: &mut Report, text: &str) -> Result<(), Fault> {
    let mut rounds: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [name, wall, cpu] = words[..] else { return Err(line.into()) };
        let all = rounds.entry(name).or_default();
        all.0.push(wall.parse()?);
        all.1.push(cpu.parse()?);
    }
    synced(report, &mut rounds);
    // A task's two lines, and one by itself.
    for (suffix, whose) in [("-both", "of a task's two lines"), ("", "by itself")] {
        let taken = rounds.remove(format!("bytes{suffix}").as_str());
        let bytes = taken.map_or(f64::NAN, |(mut bytes, _)| median(&mut bytes));
        let bare = format!("bare{suffix}");
        let us = format!("us{suffix}");
        for (at, what) in ["wall", "processor"].into_iter().enumerate() {
            let mut row = Row::new(format!("{what} time of a line {whose}, {bytes} bytes"), "ns");
            let alone = suffix.is_empty();
            for (name, times) in &rounds {
                let (role, name) = match *name {
                    name if name == bare => (Role::Floor, "a bare write(2) of each ready line"),
                    name if name == us && alone => (Role::Us, "us: an event becomes a line"),
                    name if name == us => (Role::Us, "us: two events, two lines, one write(2)"),
                    name if alone && !name.ends_with("-both") => (Role::Peer, name),
                    _ => continue,
                };
                let mut times = if at == 0 { times.0.clone() } else { times.1.clone() };
                let time = median(&mut times);
                let rate = format!("{:.0} lines/s", 1e9 / time);
                row = row.entry(role, name, Some(time), &rate);
            }
            if what == "wall" {
                row = row.goal(Goal::TimesFloor(TIMES_WRITE_MAX));
            }
            report.add(row);
        }
    }
    Ok(())
}

/// The cost of waiting for the disk, by policy.
fn synced(report: &mut Report, rounds: &mut BTreeMap<&str, (Vec<f64>, Vec<f64>)>) {
    let mut row = Row::new("wall time of a line that is forced to the disk", "ns");
    for (name, role, what) in [
        ("fsync-bare", Role::Floor, "a bare write(2) and fdatasync(2) each"),
        ("fsync-task", Role::Us, "us: Fsync::EachTask, every line a task's end"),
        ("fsync-lines", Role::Us, "us: Fsync::EachLines(100)"),
    ] {
        if let Some((mut wall, _)) = rounds.remove(name) {
            row = row.entry(role, what, Some(median(&mut wall)), "");
        }
    }
    report.add(row);
}
