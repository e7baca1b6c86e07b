//! Rows of figures: kept as data, printed as tables, written as JSON.

use serde_json::{Map, Value, json};

/// The middle one of several rounds' figures.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The owner of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The least that such a program can take.
    Floor,
    Us,
    Peer,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Us => "us",
            Self::Peer => "peer",
        }
    }
}

/// A target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Our figure, at most.
    AtMost(f64),
    /// Our figure over the first floor's, at most.
    TimesFloor(f64),
}

#[derive(Debug, Clone)]
struct Entry {
    role: Role,
    name: String,
    /// Nothing where it could not be measured; `note` says why.
    value: Option<f64>,
    note: String,
}

/// One quantity, measured for floor, us and peers in one run.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    group: &'static str,
    what: String,
    unit: &'static str,
    entries: Vec<Entry>,
    goal: Option<Goal>,
    notes: Vec<String>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str) -> Self {
        let (entries, notes) = (Vec::new(), Vec::new());
        Self { group: "", what: what.into(), unit, entries, goal: None, notes }
    }

    pub(crate) fn floor(self, name: impl Into<String>, value: impl Into<f64>) -> Self {
        self.entry(Role::Floor, name, Some(value.into()), "")
    }

    pub(crate) fn us(self, name: impl Into<String>, value: impl Into<f64>) -> Self {
        self.entry(Role::Us, name, Some(value.into()), "")
    }

    pub(crate) fn peer(self, name: impl Into<String>, value: impl Into<f64>) -> Self {
        self.entry(Role::Peer, name, Some(value.into()), "")
    }

    /// A peer that is not here to be measured.
    pub(crate) fn absent(self, name: impl Into<String>, why: &str) -> Self {
        self.entry(Role::Peer, name, None, why)
    }

    pub(crate) fn entry(
        mut self,
        role: Role,
        name: impl Into<String>,
        value: Option<f64>,
        note: &str,
    ) -> Self {
        self.entries.push(Entry { role, name: name.into(), value, note: note.to_owned() });
        self
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    fn first(&self, role: Role) -> Option<f64> {
        self.entries.iter().find(|entry| entry.role == role)?.value
    }

    /// The goal as a figure of the row's unit.
    fn limit(&self) -> Option<f64> {
        match self.goal? {
            Goal::AtMost(limit) => Some(limit),
            Goal::TimesFloor(times) => Some(times * self.first(Role::Floor)?),
        }
    }

    fn met(&self) -> Option<bool> {
        Some(self.first(Role::Us)? <= self.limit()?)
    }

    fn print(&self) {
        println!("  {} [{}]", self.what, self.unit);
        let floor = self.first(Role::Floor).filter(|floor| *floor > 0.0);
        for entry in &self.entries {
            let value = entry.value.map_or_else(|| "-".to_owned(), figure);
            let times = match (floor, entry.value) {
                (Some(floor), Some(value)) => format!("{:.2}x", value / floor),
                _ => String::new(),
            };
            let role = entry.role.as_str();
            println!("    {role:<5}  {:<44} {value:>13} {times:>9}  {}", entry.name, entry.note);
        }
        if let (Some(goal), Some(met)) = (self.goal, self.met()) {
            let goal = match goal {
                Goal::AtMost(limit) => figure(limit),
                Goal::TimesFloor(times) => format!("{times}x floor"),
            };
            println!("    goal   at most {goal}: {}", if met { "met" } else { "NOT MET" });
        }
        for note in &self.notes {
            println!("    note   {note}");
        }
    }

    fn to_json(&self) -> Value {
        let entries: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                json!({"role": entry.role.as_str(), "name": entry.name, "value": entry.value,
                    "note": entry.note})
            })
            .collect();
        json!({"group": self.group, "what": self.what, "unit": self.unit, "entries": entries,
            "goal": self.limit(), "met": self.met(), "notes": self.notes})
    }
}

/// A figure for people: whole where it is large, with digits grouped.
fn figure(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 1000.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// All rows of a run, and the figures that the budget file knows.
#[derive(Debug)]
pub(crate) struct Report {
    print: bool,
    group: &'static str,
    rows: Vec<Row>,
    gates: Vec<(String, f64)>,
}

impl Report {
    pub(crate) fn new(print: bool) -> Self {
        Self { print, group: "", rows: Vec::new(), gates: Vec::new() }
    }

    /// Begins a group of rows.
    pub(crate) fn begin(&mut self, group: &'static str) {
        self.group = group;
        if self.print {
            println!("\n== {group}");
        }
    }

    /// Adds a row, and prints it at once, lest a later failure lose it.
    pub(crate) fn add(&mut self, mut row: Row) {
        row.group = self.group;
        if self.print {
            row.print();
        }
        self.rows.push(row);
    }

    /// Adds a figure for the budget.
    pub(crate) fn gate(&mut self, key: impl Into<String>, value: impl Into<f64>) {
        self.gates.push((key.into(), value.into()));
    }

    pub(crate) fn gates(&self) -> &[(String, f64)] {
        &self.gates
    }

    pub(crate) fn to_json(&self) -> Value {
        let gates: Map<String, Value> =
            self.gates.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let rows: Vec<Value> = self.rows.iter().map(Row::to_json).collect();
        json!({"machine": crate::process::machine(), "rows": rows, "gates": gates})
    }
}
