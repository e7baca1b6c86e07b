//! Time in which the device slept counts against a task's deadline, though `Instant` stands
//! still in it.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use crate::device::{ClockReading, MIN_CLOCK_GAP};
use crate::sync::{AtomicU64, Ordering, now};

/// What a helper knows of the device's sleep.
pub(crate) struct Slept {
    /// The clocks when the first task with a deadline came.
    since: OnceLock<ClockReading>,
    /// Sleep noticed and not told to the observers yet, in milliseconds.
    to_tell_ms: AtomicU64,
    told_ms: AtomicU64,
}

impl Slept {
    pub(crate) fn new() -> Self {
        Self { since: OnceLock::new(), to_tell_ms: AtomicU64::new(0), told_ms: AtomicU64::new(0) }
    }

    /// Begins to watch; the first call reads the clocks.
    pub(crate) fn watch(&self) {
        self.since.get_or_init(ClockReading::now);
    }

    /// How long the device slept since a task was submitted. The wall clock is asked first,
    /// which costs nothing; only where it ran ahead is the boot clock asked whether that was
    /// a sleep or somebody setting the clock.
    pub(crate) fn since(&self, created_at: SystemTime, submitted: Instant) -> Duration {
        let wall = created_at.elapsed().unwrap_or_default();
        let ahead = wall.saturating_sub(now().saturating_duration_since(submitted));
        let Some(first) = self.since.get().filter(|_| ahead >= MIN_CLOCK_GAP) else {
            return Duration::ZERO;
        };
        let total = ClockReading::now().since(first).suspended();
        let slept = counted(ahead, total);
        let total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
        if !slept.is_zero() && total_ms > self.told_ms.swap(total_ms, Ordering::Relaxed) {
            self.to_tell_ms.store(total_ms, Ordering::Relaxed);
        }
        slept
    }

    /// Sleep that the observers were not told of yet, as a total since watching began.
    pub(crate) fn to_tell(&self) -> Option<Duration> {
        let ms = self.to_tell_ms.swap(0, Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }
}

/// A task cannot have slept longer than the device did, nor longer than the wall clock ran
/// ahead while it was there.
fn counted(wall_ahead: Duration, device_slept: Duration) -> Duration {
    let slept = wall_ahead.min(device_slept);
    if slept < MIN_CLOCK_GAP { Duration::ZERO } else { slept }
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
    }

    #[test]
    fn without_sleep_nothing_is_counted_or_told() {
        let slept = Slept::new();
        slept.watch();
        let an_hour_ago = SystemTime::now() - Duration::from_secs(3600);
        assert_eq!(slept.since(an_hour_ago, Instant::now()), Duration::ZERO);
        assert_eq!(slept.to_tell(), None);
    }
}
