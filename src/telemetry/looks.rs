//! The intervals of the periodic checks of the audit file.

use std::time::Duration;

use super::line::Stamp;

/// How many lines are written at most between two checks.
const LINES_PER_LOOK: u32 = 256;

/// The time between two checks, and between a failed rotation and the next attempt.
const TIME_PER_LOOK: Duration = Duration::from_secs(1);

/// The times of the last checks and attempts.
pub(super) struct Looks {
    lines: u32,
    at: Stamp,
    pub(super) rotation_failed_at: Option<Stamp>,
}

impl Looks {
    pub(super) fn new(at: Stamp) -> Self {
        Self { lines: 0, at, rotation_failed_at: None }
    }

    pub(super) fn count(&mut self, lines: u64) {
        self.lines = self.lines.saturating_add(lines as u32);
    }

    /// Requests a check before the next line.
    pub(super) fn soon(&mut self) {
        self.lines = LINES_PER_LOOK;
    }

    /// The time of the last check.
    #[cfg(test)]
    pub(super) fn at(&self) -> Stamp {
        self.at
    }

    pub(super) fn are_due(&mut self, now: Stamp) -> bool {
        let due = self.lines >= LINES_PER_LOOK || is_over(self.at, now);
        if due {
            (self.lines, self.at) = (0, now);
        }
        due
    }
}

/// Whether the interval has passed; `true` too for a clock that was set back, or is before 1970.
pub(super) fn is_over(since: Stamp, now: Stamp) -> bool {
    now.before_1970 || now.since.checked_sub(since.since).is_none_or(|gone| gone >= TIME_PER_LOOK)
}
