//! Suspended time: the time for which the device was suspended. It counts against a task's
//! deadline, although `Instant` does not advance in it.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use crate::device::{ClockReading, MIN_CLOCK_GAP};
use crate::sync::{AtomicU64, Ordering, now};

/// The suspended time that a manager's helpers have observed.
pub(crate) struct SuspendedTime {
    /// The clocks at the first task.
    since: OnceLock<ClockReading>,
    /// Suspended time observed so far, in milliseconds, and how much of it was not reported yet.
    noticed_ms: AtomicU64,
    unreported_ms: AtomicU64,
}

impl SuspendedTime {
    pub(crate) fn new() -> Self {
        let (noticed_ms, unreported_ms) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { since: OnceLock::new(), noticed_ms, unreported_ms }
    }

    /// Starts observing; the first call reads the clocks.
    pub(crate) fn watch(&self) {
        self.since.get_or_init(ClockReading::now);
    }

    /// How long the device was suspended since a task was submitted.
    pub(crate) fn since(&self, created_at: SystemTime, submitted: Instant) -> Duration {
        self.between((created_at, submitted), (SystemTime::now(), now()))
    }

    /// How long the device was suspended between two readings of wall clock and `Instant`, of
    /// which the second was just taken. The wall clock is compared first, which costs nothing;
    /// only if it ran ahead, the boot clock is read, which shows whether the wall clock was set.
    pub(crate) fn between(
        &self,
        before: (SystemTime, Instant),
        after: (SystemTime, Instant),
    ) -> Duration {
        let wall = after.0.duration_since(before.0).unwrap_or_default();
        let ahead = wall.saturating_sub(after.1.saturating_duration_since(before.1));
        let Some(first) = self.since.get().filter(|_| ahead >= MIN_CLOCK_GAP) else {
            return Duration::ZERO;
        };
        let total = ClockReading::now().since(first).suspended();
        let suspended = counted(ahead, total);
        if !suspended.is_zero() {
            self.notice(total);
        }
        suspended
    }

    /// Records how long the device was suspended since observation began. Of two readings after
    /// the same suspension the later one may be some milliseconds longer: that is not a further
    /// one.
    fn notice(&self, total: Duration) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (total_ms, gap_ms) = (ms(total), ms(MIN_CLOCK_GAP));
        let further =
            |noticed_ms| (total_ms.saturating_sub(noticed_ms) >= gap_ms).then_some(total_ms);
        let noticed = self.noticed_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, further);
        if let Ok(noticed_ms) = noticed {
            self.unreported_ms.fetch_add(total_ms.saturating_sub(noticed_ms), Ordering::Relaxed);
        }
    }

    /// Suspended time observed so far.
    pub(crate) fn noticed(&self) -> Duration {
        Duration::from_millis(self.noticed_ms.load(Ordering::Relaxed))
    }

    /// Suspended time that was not reported to the observers yet.
    pub(crate) fn unreported(&self) -> Option<Duration> {
        let ms = self.unreported_ms.swap(0, Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }
}

/// The suspended time of a task: at most the device's suspended time, and at most what the wall
/// clock ran ahead during the task.
fn counted(wall_ahead: Duration, device_suspended: Duration) -> Duration {
    let suspended = wall_ahead.min(device_suspended);
    if suspended < MIN_CLOCK_GAP { Duration::ZERO } else { suspended }
}

#[cfg(test)]
impl SuspendedTime {
    /// For tests: a device that was suspended ever since it was switched on.
    pub(crate) fn as_if_always_suspended() -> Self {
        let source = ClockReading::now().source();
        let suspended = Self::new();
        let _ = suspended.since.set(ClockReading::new(Instant::now(), Duration::ZERO, source));
        suspended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_clock_is_no_sleep_and_a_sleep_before_the_task_is_not_its_own() {
        let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
        assert_eq!(counted(hour, Duration::ZERO), Duration::ZERO);
        assert_eq!(counted(hour, Duration::from_millis(20)), Duration::ZERO);
        assert_eq!(counted(minute, hour), minute);
        assert_eq!(counted(hour, hour), hour);
        assert_eq!(counted(hour, MIN_CLOCK_GAP), MIN_CLOCK_GAP);
    }

    #[test]
    fn each_sleep_is_reported_once_and_by_itself() {
        let (suspended, second) = (SuspendedTime::new(), Duration::from_secs(1));
        suspended.notice(second * 60);
        assert_eq!(suspended.unreported(), Some(second * 60));
        assert_eq!(suspended.unreported(), None);
        // The same suspension, observed again with deviations of the clocks.
        for seen in [59_990, 60_000, 60_010, 60_999] {
            suspended.notice(Duration::from_millis(seen));
            assert_eq!(suspended.unreported(), None, "{seen}");
        }
        suspended.notice(second * 61);
        suspended.notice(second * 71);
        assert_eq!(
            suspended.unreported(),
            Some(second * 11),
            "two more, not what was reported before"
        );
    }

    #[test]
    fn a_task_that_was_there_is_charged_for_the_device_s_sleep() {
        let suspended = SuspendedTime::new();
        let submitted = Instant::now();
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
        suspended.watch();
        assert!(suspended.since.get().is_some());
        let suspended = SuspendedTime::as_if_always_suspended();
        assert!(suspended.since(an_hour_ago, submitted) >= MIN_CLOCK_GAP);
        assert!(suspended.unreported() >= Some(MIN_CLOCK_GAP));
        assert_eq!(suspended.since(SystemTime::now(), submitted), Duration::ZERO);
        assert_eq!(suspended.unreported(), None);
    }

    #[test]
    fn without_sleep_nothing_is_counted_or_reported() {
        let suspended = SuspendedTime::new();
        suspended.watch();
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
        assert_eq!(suspended.since(an_hour_ago, Instant::now()), Duration::ZERO);
        assert_eq!(suspended.unreported(), None);
    }
}
