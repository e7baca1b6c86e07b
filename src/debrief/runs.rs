//! Which runs a file holds, how each ended, and whether lines of it are missing.
//!
//! Run ids begin with their time, so that one which is greater than all before it is new:
//! files in their natural order are counted exactly, however many runs they hold. For others
//! (files put together in any order) the ids seen are remembered up to a bound; beyond it,
//! the count is a lower bound and says so.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Runs of which details are kept at one time. More than this many processes that write to
/// one file at once are rare.
const ACTIVE_MAX: usize = 64;

/// Run ids remembered, as hashes: the most that fit a table of 16,384 places (9 bytes each).
const SEEN_MAX: usize = 14_000;

/// Longest run id that is kept, in bytes; ours take at most 24.
const RUN_ID_BYTES_MAX: usize = 64;

/// One run, while its lines go by.
#[derive(Debug, Clone)]
struct SeenRun {
    hash: u64,
    /// Its lines carry sequence numbers: it is of our making, not of the prototype's.
    numbered: bool,
    seq_min: u64,
    seq_max: u64,
    numbered_lines: u64,
    ended: bool,
    /// Its details were given up before, and it came again.
    again: bool,
    last_line: u64,
}

/// All runs.
#[derive(Clone, Default)]
pub(super) struct Runs {
    hasher: RandomState,
    active: Vec<SeenRun>,
    /// The run of the last line, in `active`.
    current: usize,
    current_id: Vec<u8>,
    greatest: Vec<u8>,
    seen: HashSet<u64>,
    /// Some id did not fit into `seen`.
    forgot: bool,
    lines: u64,
    pub(super) totals: RunTotals,
}

/// The totals over all runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RunTotals {
    /// Distinct run ids.
    pub(super) total: u64,
    /// There may be more.
    pub(super) at_least: bool,
    /// Runs with a `run_end` line.
    pub(super) ended: u64,
    /// Runs with sequence numbers and no `run_end` line: killed, or still going on.
    pub(super) unended: u64,
    /// Lines missing between the first and the last of their runs.
    pub(super) missing_lines: u64,
}

impl Runs {
    /// Takes note of a line of this run; returns whether the line before was of it too.
    #[inline]
    pub(super) fn line(&mut self, id: &[u8], seq: Option<u64>, ends: bool) -> bool {
        self.lines += 1;
        let id = id.get(..RUN_ID_BYTES_MAX).unwrap_or(id);
        let same = self.current_id == id && !self.active.is_empty();
        if !same {
            self.current = self.find(id);
            self.current_id.clear();
            self.current_id.extend_from_slice(id);
        }
        let lines = self.lines;
        let Some(run) = self.active.get_mut(self.current) else { return same };
        run.last_line = lines;
        run.ended |= ends;
        if let Some(seq) = seq {
            run.seq_min = if run.numbered { run.seq_min.min(seq) } else { seq };
            run.seq_max = run.seq_max.max(seq);
            run.numbered = true;
            run.numbered_lines += 1;
        }
        same
    }

    /// The run's place in `active`, where it is put if it is not there.
    fn find(&mut self, id: &[u8]) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(id);
        let hash = hasher.finish();
        if let Some(place) = self.active.iter().position(|run| run.hash == hash) {
            return place;
        }
        let newest = self.totals.total == 0 || id > self.greatest.as_slice();
        let known = !newest && (self.seen.contains(&hash) || self.forgot);
        if newest {
            self.greatest.clear();
            self.greatest.extend_from_slice(id);
        } else if known && !self.seen.contains(&hash) {
            self.totals.at_least = true;
        }
        if !known {
            self.totals.total += 1;
            self.remember(hash);
        }
        self.activate(SeenRun {
            hash,
            numbered: false,
            seq_min: 0,
            seq_max: 0,
            numbered_lines: 0,
            ended: false,
            again: known,
            last_line: 0,
        })
    }

    fn remember(&mut self, hash: u64) {
        if self.seen.len() < SEEN_MAX {
            self.seen.insert(hash);
        } else {
            self.forgot = true;
        }
    }

    /// Frees a place by settling the run without a line for longest.
    fn activate(&mut self, run: SeenRun) -> usize {
        if self.active.len() < ACTIVE_MAX {
            self.active.push(run);
            return self.active.len() - 1;
        }
        let ages = self.active.iter().enumerate();
        let oldest = ages.min_by_key(|(_, run)| run.last_line).map_or(0, |(place, _)| place);
        if let Some(place) = self.active.get_mut(oldest) {
            let old = std::mem::replace(place, run);
            self.totals.settle(&old);
        }
        oldest
    }

    /// The totals, with the runs still held.
    pub(super) fn finish(mut self) -> RunTotals {
        for run in std::mem::take(&mut self.active) {
            self.totals.settle(&run);
        }
        self.totals
    }
}

impl RunTotals {
    fn settle(&mut self, run: &SeenRun) {
        if run.numbered {
            let span = run.seq_max.saturating_sub(run.seq_min).saturating_add(1);
            // A line that stands there twice makes the span look fuller than it is.
            self.missing_lines =
                self.missing_lines.saturating_add(span.saturating_sub(run.numbered_lines));
        }
        match (run.ended, run.again) {
            (true, false) => self.ended += 1,
            (true, true) => {
                // It was settled before, when its end had not been seen.
                self.ended += 1;
                self.unended = self.unended.saturating_sub(1);
            }
            (false, false) => self.unended += u64::from(run.numbered),
            (false, true) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(lines: &[(&str, Option<u64>, bool)]) -> RunTotals {
        let mut runs = Runs::default();
        for &(id, seq, ends) in lines {
            runs.line(id.as_bytes(), seq, ends);
        }
        runs.finish()
    }

    #[test]
    fn interleaved_runs_are_distinguished() {
        let found = totals(&[
            ("b", Some(1), false),
            ("a", Some(1), false),
            ("b", Some(2), false),
            ("a", Some(4), false),
            ("b", Some(3), true),
            ("prototype", None, false),
        ]);
        let expected =
            RunTotals { total: 3, at_least: false, ended: 1, unended: 1, missing_lines: 2 };
        assert_eq!(found, expected);
    }

    #[test]
    fn growing_ids_are_counted_exactly_beyond_every_bound() {
        let mut runs = Runs::default();
        let count = SEEN_MAX as u64 + 1000;
        for run in 0..count {
            let id = format!("{run:08}");
            runs.line(id.as_bytes(), Some(1), false);
            runs.line(id.as_bytes(), Some(2), true);
        }
        let found = runs.finish();
        assert_eq!((found.total, found.at_least, found.ended), (count, false, count));
        assert_eq!((found.unended, found.missing_lines), (0, 0));
    }

    #[test]
    fn falling_ids_beyond_the_bound_make_the_count_a_lower_bound() {
        let mut runs = Runs::default();
        for run in (0..SEEN_MAX + 1000).rev() {
            runs.line(format!("{run:08}").as_bytes(), None, false);
        }
        let found = runs.finish();
        assert!(found.at_least && found.total >= SEEN_MAX as u64, "{found:?}");
    }

    #[test]
    fn a_run_that_ends_after_many_others_is_not_counted_as_killed() {
        let mut runs = Runs::default();
        runs.line(b"0", Some(1), false);
        for run in 1..=2 * ACTIVE_MAX {
            runs.line(format!("{run:08}").as_bytes(), Some(1), true);
        }
        runs.line(b"0", Some(2), true);
        let found = runs.finish();
        let all = 2 * ACTIVE_MAX as u64 + 1;
        assert_eq!((found.total, found.ended, found.unended), (all, all, 0));
    }

    #[test]
    fn the_run_that_was_silent_longest_is_settled_first() {
        let mut runs = Runs::default();
        let id = |run: usize| format!("{run:08}").into_bytes();
        for run in 0..ACTIVE_MAX {
            runs.line(&id(run), Some(1), false);
        }
        runs.line(&id(0), Some(2), false);
        // Takes the place of run 1, whose later lines are taken for a new beginning.
        runs.line(&id(ACTIVE_MAX), Some(1), false);
        runs.line(&id(0), Some(4), false);
        runs.line(&id(1), Some(9), false);
        let found = runs.finish();
        assert_eq!((found.total, found.missing_lines), (ACTIVE_MAX as u64 + 1, 1));
    }

    #[test]
    fn a_run_that_comes_again_is_the_same_though_its_id_is_the_greatest() {
        let mut runs = Runs::default();
        runs.line(b"9", Some(1), false);
        for run in 0..ACTIVE_MAX {
            runs.line(format!("{run:08}").as_bytes(), Some(1), false);
        }
        runs.line(b"9", Some(3), false);
        let found = runs.finish();
        assert_eq!((found.total, found.missing_lines), (ACTIVE_MAX as u64 + 1, 0));
    }

    #[test]
    fn ids_are_remembered_up_to_the_bound_and_one_more_is_reported() {
        let found = |count: usize| {
            let mut runs = Runs::default();
            for run in (0..count).rev() {
                runs.line(format!("{run:08}").as_bytes(), None, false);
            }
            let found = runs.finish();
            (found.total, found.at_least)
        };
        let bound = SEEN_MAX as u64;
        assert_eq!(found(SEEN_MAX + 1), (bound + 1, false));
        assert_eq!(found(SEEN_MAX + 2), (bound + 1, true));
    }
}
