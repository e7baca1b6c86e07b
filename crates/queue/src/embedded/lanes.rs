//! The order in which lanes are served: the core's order for a helper's queue, which
//! `redis/lua/exchange.lua` keeps too.

/// How many lanes there are: one per priority.
pub(crate) const LANES: usize = 3;
/// How many jobs in a row may pass over a waiting lower lane.
const PASS_OVER_MAX: u32 = 8;

/// Chooses lanes: high before normal before low; after eight jobs in a row that passed over a
/// lower lane, one from the lowest lane that is not empty. Of those, every eighth comes from the
/// lane between the two instead, which would wait for ever where both others never empty.
#[derive(Debug, Default)]
pub(crate) struct LaneChoice {
    passed_over: u32,
    lowest_taken: u32,
}

impl LaneChoice {
    /// The lane to take a job from, given which lanes have one; `None` if none has.
    pub(crate) fn next(&mut self, waiting: [bool; LANES]) -> Option<usize> {
        let highest = waiting.iter().position(|waits| *waits)?;
        let lowest = waiting.iter().rposition(|waits| *waits)?;
        if highest == lowest {
            self.passed_over = 0;
            return Some(highest);
        }
        if self.passed_over < PASS_OVER_MAX {
            self.passed_over += 1;
            return Some(highest);
        }
        self.passed_over = 0;
        let between = (highest + 1..lowest).find(|lane| waiting[*lane]);
        if between.is_some() && self.lowest_taken + 1 >= PASS_OVER_MAX {
            self.lowest_taken = 0;
            return between;
        }
        self.lowest_taken += u32::from(between.is_some());
        Some(lowest)
    }
}
