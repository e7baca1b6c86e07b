//! Counts over time and by run, in bounded memory: a fixed number of slots, which merge as the
//! span grows.

use super::histogram::Coarse;
use super::record::RawText;
use super::tallies::{Ends, NAME_BYTES_MAX};
use crate::text::clean;

/// Slots of time kept at one time. A week by the hour takes 168.
pub(super) const SLOTS_MAX: usize = 192;

/// Widths of a slot, in seconds: from a second to a week by the clock, then on to what holds
/// all of [`SECONDS_MAX`] in a few slots. Each is a multiple of the one before.
pub(super) const WIDTHS: [u64; 15] = [
    1,
    5,
    15,
    60,
    300,
    900,
    3_600,
    10_800,
    21_600,
    86_400,
    604_800,
    2_419_200,
    31_449_600,
    503_193_600,
    8_051_097_600,
];

/// The end of the year 9999 in Unix seconds: a later moment is no moment.
const SECONDS_MAX: f64 = 253_402_300_800.0;

/// Runs that a report lists, the latest.
pub(super) const RUNS_MAX: usize = 40;

/// Events, how they ended, and how long calls took.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) events: Ends,
    pub(super) calls: Coarse,
}

impl Tally {
    fn add(&mut self, success: bool, call: Option<u8>) {
        self.events.add(success);
        if let Some(bucket) = call {
            self.calls.add(bucket);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.events = self.events.plus(other.events);
        self.calls.merge(&other.calls);
    }
}

/// One slot of time: `place` times the width after 1970.
#[derive(Debug, Clone)]
pub(super) struct TimeSlot {
    pub(super) place: u64,
    pub(super) tally: Tally,
}

/// Counts by time. Only slots with events are kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Timeline {
    pub(super) slots: Vec<TimeSlot>,
    /// The width, by its place in [`WIDTHS`].
    step: usize,
    current: usize,
    /// The bounds of the current slot, in seconds.
    from: f64,
    to: f64,
    /// Events without a timestamp, or with an absurd one.
    pub(super) undated: u64,
}

impl Timeline {
    /// Seconds in a slot.
    pub(super) fn width(&self) -> u64 {
        WIDTHS.get(self.step).copied().unwrap_or(u64::MAX)
    }

    fn add(&mut self, at: Option<f64>, success: bool, call: Option<u8>) {
        let Some(at) = at.filter(|at| *at >= 0.0 && *at < SECONDS_MAX) else {
            self.undated += 1;
            return;
        };
        if !(at >= self.from && at < self.to) {
            self.find(at as u64);
        }
        if let Some(slot) = self.slots.get_mut(self.current) {
            slot.tally.add(success, call);
        }
    }

    /// Makes the slot of this second the current one.
    #[cold]
    fn find(&mut self, second: u64) {
        let index = loop {
            let place = second / self.width();
            let index = self.slots.partition_point(|slot| slot.place < place);
            if self.slots.get(index).is_some_and(|slot| slot.place == place) {
                break index;
            }
            if self.slots.len() < SLOTS_MAX {
                self.slots.insert(index, TimeSlot { place, tally: Tally::default() });
                break index;
            }
            self.widen();
        };
        self.current = index;
        self.from = (second / self.width() * self.width()) as f64;
        self.to = self.from + self.width() as f64;
    }

    /// Merges slots to the next width.
    pub(super) fn widen(&mut self) {
        let narrow = self.width();
        self.step += 1;
        let factor = self.width() / narrow;
        let mut merged: Vec<TimeSlot> = Vec::new();
        for slot in self.slots.drain(..) {
            let place = slot.place / factor;
            match merged.last_mut() {
                Some(last) if last.place == place => last.tally.merge(&slot.tally),
                _ => merged.push(TimeSlot { place, ..slot }),
            }
        }
        self.slots = merged;
    }
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct RunRow {
    raw: Vec<u8>,
    pub(super) id: String,
    /// The timestamps of its first and last line; nothing where they are none.
    pub(super) first: Option<f64>,
    pub(super) last: Option<f64>,
    pub(super) ended: bool,
    pub(super) tally: Tally,
}

/// Counts by time and by run.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) timeline: Timeline,
    pub(super) runs: Vec<RunRow>,
    /// Rows dropped for later ones.
    pub(super) earlier_runs: u64,
    current_run: usize,
}

impl History {
    /// Takes note of a line of this run. `same`: it is the run of the line before.
    pub(super) fn line(&mut self, run: RawText<'_>, same: bool, at: Option<f64>, ends: bool) {
        if !same || self.runs.is_empty() {
            self.find_run(run);
        }
        if let Some(run) = self.runs.get_mut(self.current_run) {
            run.last = at.or(run.last);
            run.first = run.first.or(at);
            run.ended |= ends;
        }
    }

    #[cold]
    fn find_run(&mut self, run: RawText<'_>) {
        let raw = run.raw().get(..NAME_BYTES_MAX).unwrap_or(run.raw());
        // A run that comes again is one of the latest, if it has a row.
        if let Some(place) = self.runs.iter().rposition(|row| row.raw == raw) {
            self.current_run = place;
            return;
        }
        if self.runs.len() >= RUNS_MAX {
            self.runs.remove(0);
            self.earlier_runs += 1;
        }
        self.current_run = self.runs.len();
        self.runs.push(RunRow {
            raw: raw.to_vec(),
            id: clean(&run.decode(), NAME_BYTES_MAX),
            first: None,
            last: None,
            ended: false,
            tally: Tally::default(),
        });
    }

    /// Counts an event of the run whose line was noted last; a call with the bucket of its
    /// latency.
    pub(super) fn event(&mut self, at: Option<f64>, success: bool, call: Option<u8>) {
        self.timeline.add(at, success, call);
        if let Some(run) = self.runs.get_mut(self.current_run) {
            run.tally.add(success, call);
        }
    }
}
