//! When the audit file is looked for under its name again.

use std::time::Duration;

use super::line::Stamp;

/// How many lines may go by before the file is looked for under its name again.
const LINES_PER_LOOK: u32 = 256;

/// How long may go by before it is looked for again, and before a rotation that failed is
/// tried again.
const TIME_PER_LOOK: Duration = Duration::from_secs(1);

/// When the file was looked for last, and what may not be tried again yet.
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

    /// The file is looked for before the next line.
    pub(super) fn soon(&mut self) {
        self.lines = LINES_PER_LOOK;
    }

    /// When that was.
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

/// Whether the time is over; a clock that was set back, or stands before 1970, counts as such.
pub(super) fn is_over(since: Stamp, now: Stamp) -> bool {
    now.before_1970 || now.since.checked_sub(since.since).is_none_or(|gone| gone >= TIME_PER_LOOK)
}
