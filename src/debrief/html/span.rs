//! The span of time that a page shows, in columns of equal width.

use super::units::{UtcMoment, span};
use crate::debrief::history::{SLOTS_MAX, Tally, TimeSlot, Timeline};

/// Events far from all others are left out if they are less than this share of all: the
/// lines of a device whose clock was not set would press all others into one column.
const OUTLIER_SHARE: f64 = 0.01;

/// Labels under a chart, at most: what fits 360 pixels.
const LABELS_MAX: usize = 5;

const DAY: u64 = 86_400;

/// Columns side by side, with or without events.
pub(super) struct TimeSpan {
    /// Seconds in a column.
    pub(super) width: u64,
    /// Of the first column, in widths after 1970.
    first: u64,
    pub(super) columns: Vec<Option<Tally>>,
    /// Events at other times.
    pub(super) outliers: u64,
}

impl TimeSpan {
    /// Nothing where no event has a time.
    pub(super) fn new(timeline: &Timeline) -> Option<Self> {
        let mut line = timeline.clone();
        let mut outliers = 0;
        loop {
            let (first, last) = (line.slots.first()?.place, line.slots.last()?.place);
            if last - first < SLOTS_MAX as u64 {
                break;
            }
            match cut_outlier(&mut line) {
                0 => line.widen(),
                cut => outliers += cut,
            }
        }
        let first = line.slots.first()?.place;
        let mut columns: Vec<Option<Tally>> = Vec::new();
        for slot in &line.slots {
            columns.resize((slot.place - first) as usize, None);
            columns.push(Some(slot.tally.clone()));
        }
        Some(Self { width: line.width(), first, columns, outliers })
    }

    /// The columns with events, and their places.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, &Tally)> {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(|(place, column)| Some((place, column.as_ref()?)))
    }

    pub(super) fn begin(&self, column: usize) -> u64 {
        (self.first + column as u64) * self.width
    }

    /// `hour`, `15 minutes`.
    pub(super) fn name(&self) -> String {
        span(self.width)
    }

    /// When a column begins: to the day, minute or second, as its width needs.
    pub(super) fn label(&self, column: usize) -> String {
        let moment = UtcMoment::new(self.begin(column));
        match self.width {
            DAY.. => moment.date(),
            60.. => moment.minute(),
            _ => format!("{} {}", moment.date(), moment.second()),
        }
    }

    /// `the hour from 22 Nov 2025 16:00`.
    pub(super) fn when(&self, column: usize) -> String {
        format!("the {} from {}", self.name(), self.label(column))
    }

    /// `22 Nov 2025 16:46 to 17:02 UTC`.
    pub(super) fn period(&self) -> String {
        let end = self.columns.len();
        let (from, to) = (UtcMoment::new(self.begin(0)), UtcMoment::new(self.begin(end)));
        match self.width {
            DAY.. => {
                format!("{} to {} UTC", from.date(), UtcMoment::new(self.begin(end - 1)).date())
            }
            _ if from.date() != to.date() => format!("{} to {} UTC", from.minute(), to.minute()),
            60.. => format!("{} to {} UTC", from.minute(), to.clock()),
            _ => format!("{} {} to {} UTC", from.date(), from.second(), to.second()),
        }
    }

    /// Columns that begin at a round time, with its name, for the axis.
    pub(super) fn ticks(&self) -> Vec<(usize, String)> {
        let count = self.columns.len();
        let steps = [1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, DAY];
        let longer =
            [2, 7, 14, 28, 91, 182, 364, 1820, 3640, 36_400, 364_000].map(|days| days * DAY);
        let at = |step: u64| {
            let round = move |column: &usize| self.begin(*column).is_multiple_of(step);
            (0..count).filter(round)
        };
        let fits = |step: &&u64| **step >= self.width && at(**step).count() <= LABELS_MAX;
        let Some(step) = steps.iter().chain(&longer).find(fits) else { return Vec::new() };
        let name = |column| {
            let moment = UtcMoment::new(self.begin(column));
            let years = *step > 364 * DAY;
            match *step {
                _ if years => moment.date(),
                DAY.. => moment.day(),
                60.. => moment.clock(),
                _ => moment.second(),
            }
        };
        at(*step).map(|column| (column, name(column))).collect()
    }

    /// Columns that begin a day, where columns are shorter.
    pub(super) fn midnights(&self) -> Vec<usize> {
        let is_midnight = |column: &usize| self.begin(*column).is_multiple_of(DAY);
        match self.width {
            DAY.. => Vec::new(),
            _ => (1..self.columns.len()).filter(is_midnight).collect(),
        }
    }
}

/// Removes the slots beyond the widest gap, if they have few events and the gap is longer than all
/// that stays; returns how many events were removed.
fn cut_outlier(line: &mut Timeline) -> u64 {
    let places: Vec<_> = line.slots.iter().map(|slot| slot.place).collect();
    let gap = |at: &usize| places[*at] - places[*at - 1];
    let Some(at) = (1..places.len()).max_by_key(gap) else { return 0 };
    let events =
        |slots: &[TimeSlot]| slots.iter().map(|slot| slot.tally.events.total()).sum::<u64>();
    let (before, after) = (events(&line.slots[..at]), events(&line.slots[at..]));
    let stays = if before < after { &places[at..] } else { &places[..at] };
    let length = stays[stays.len() - 1] - stays[0];
    let fewer = before.min(after);
    if gap(&at) <= length || fewer as f64 >= (before + after) as f64 * OUTLIER_SHARE {
        return 0;
    }
    if before < after {
        line.slots.drain(..at);
    } else {
        line.slots.truncate(at);
    }
    fewer
}
