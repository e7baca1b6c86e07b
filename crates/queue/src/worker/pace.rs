//! How many jobs a helper is given ahead, beyond those for its idle threads.
//!
//! A thread that is through with its task before the queue has answered would idle for the rest of
//! that call. So a helper is given as many jobs ahead as its threads do in the time of one call:
//! none where tasks take longer than a call, which is what tasks of a model do.

use std::time::Duration;

/// Longest time that a job given ahead waits for a thread, before it is handed on to others.
pub(super) const AHEAD_WAIT: Duration = Duration::from_millis(100);
/// Most jobs that a helper is given ahead.
const AHEAD_MAX: usize = 128;

/// The pace of a helper's tasks.
pub(super) struct Pace {
    /// Mean time of a task, by those that ended last.
    mean: Duration,
    /// Tasks that have ended since the mean was taken, and the sum of their times.
    ended: u32,
    ran: Duration,
    /// Most jobs that it is given ahead.
    most: usize,
}

impl Pace {
    /// Nothing is known: no job is given ahead.
    pub(super) const fn new() -> Self {
        Self { mean: Duration::MAX, ended: 0, ran: Duration::ZERO, most: AHEAD_MAX }
    }

    /// A task has ended that ran for so long.
    pub(super) fn ended(&mut self, ran: Duration) {
        self.ended += 1;
        self.ran += ran;
    }

    /// A job that was given ahead waited for too long.
    pub(super) const fn waited(&mut self) {
        self.mean = Duration::MAX;
    }

    /// The helper's own queue was full: nothing is given ahead any more.
    pub(super) const fn refused(&mut self) {
        self.most = 0;
    }

    /// How many jobs are given ahead, where a call takes so long.
    pub(super) fn ahead(&mut self, threads: usize, call: Duration) -> usize {
        if self.ended > 0 {
            self.mean = self.ran / self.ended;
            (self.ended, self.ran) = (0, Duration::ZERO);
        }
        if self.mean > AHEAD_WAIT {
            return 0;
        }
        let call = call.min(AHEAD_WAIT).as_nanos();
        let in_a_call = call * threads as u128 / self.mean.as_nanos().max(1);
        usize::try_from(in_a_call).unwrap_or(usize::MAX).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_go_ahead_as_end_in_the_time_of_a_call() {
        let ms = Duration::from_millis;
        for (task, call, threads, expected) in [
            (ms(1_000), ms(5), 50, 0),
            (ms(20), ms(5), 1, 0),
            (ms(20), ms(5), 8, 2),
            (ms(5), ms(20), 1, 4),
            (Duration::ZERO, ms(5), 1, AHEAD_MAX),
            // Not so many that the last of them would wait for longer than it may.
            (ms(50), ms(5_000), 1, 2),
            (ms(101), ms(5_000), 50, 0),
        ] {
            let mut pace = Pace::new();
            assert_eq!(pace.ahead(threads, call), 0, "nothing is known yet");
            pace.ended(task);
            assert_eq!(pace.ahead(threads, call), expected, "{task:?} {call:?} {threads}");
            // As long as no task ends, this is what is known.
            assert_eq!(pace.ahead(threads, call), expected);
        }
    }

    #[test]
    fn a_helper_that_is_held_up_or_full_is_given_none_ahead() {
        let mut pace = Pace::new();
        let quick = Duration::from_micros(1);
        let ahead = |pace: &mut Pace| pace.ahead(1, Duration::from_secs(1));
        pace.ended(quick);
        assert_eq!(ahead(&mut pace), AHEAD_MAX);
        pace.waited();
        assert_eq!(ahead(&mut pace), 0);
        pace.ended(quick);
        assert_eq!(ahead(&mut pace), AHEAD_MAX);
        pace.refused();
        assert_eq!(ahead(&mut pace), 0);
    }
}
