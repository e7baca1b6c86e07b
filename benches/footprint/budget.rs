//! The committed budget: what a figure may be at most. Times are never in it.

use serde_json::{Map, Value, json};

use crate::Fault;
use crate::report::Report;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/budget.json");

/// By the beginning of a figure's key: how many percent and how much more than the budget is
/// no fault of ours. Sizes move with the compiler, memory with the system's allocator and with
/// who comes first; counts may not move at all.
const MARGINS: [(&str, f64, f64); 5] = [
    ("size.", 2.0, 0.0),
    // Where the whole process is watched from outside, its file's pages are in it.
    ("memory.debrief", 12.0, 64.0),
    ("memory.", 5.0, 24.0),
    ("threads.", 0.0, 0.0),
    // A list's block now and then.
    ("allocations.", 0.0, 0.02),
];

/// The most that this figure may be.
fn limit(key: &str, budget: f64) -> f64 {
    let found = MARGINS.iter().find(|(start, ..)| key.starts_with(start));
    let (percent, more) = found.map_or((0.0, 0.0), |(_, percent, more)| (*percent, *more));
    budget * (1.0 + percent / 100.0) + more
}

/// Whether every figure keeps to the budget; says on stderr which does not. `whole`: all
/// gated rows were measured, so that a budget without a figure is an error too.
pub(crate) fn check(report: &Report, whole: bool) -> Result<bool, Fault> {
    let budget: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(PATH)?)?;
    let mut kept = true;
    for (key, value) in report.gates() {
        let Some(allowed) = budget.get(key).and_then(Value::as_f64) else {
            kept = false;
            eprintln!("footprint: {key} = {value} is not in benches/budget.json: add it");
            continue;
        };
        let most = limit(key, allowed);
        if *value > most {
            kept = false;
            eprintln!("footprint: {key} = {value}, budget {allowed} (with margin {most:.2})");
        }
    }
    for key in budget.keys() {
        if whole && !report.gates().iter().any(|(measured, _)| measured == key) {
            kept = false;
            eprintln!("footprint: {key} stands in the budget and was not measured");
        }
    }
    let count = report.gates().len();
    eprintln!("footprint: {count} figures {}", if kept { "keep to the budget" } else { "checked" });
    Ok(kept)
}

/// Writes what was measured as the new budget; figures of rows left out stay.
pub(crate) fn write(report: &Report) -> Result<(), Fault> {
    let old = std::fs::read_to_string(PATH).unwrap_or_else(|_| "{}".to_owned());
    let mut budget: Map<String, Value> = serde_json::from_str(&old)?;
    for (key, value) in report.gates() {
        budget.insert(key.clone(), json!(value));
    }
    let text = serde_json::to_string_pretty(&Value::Object(budget))?;
    Ok(std::fs::write(PATH, text + "\n")?)
}
