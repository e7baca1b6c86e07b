//! Suspended time, from the clocks.

use std::time::{Duration, Instant};

use automation_assistant::{ClockReading, ClockSource, SuspendWatch};

#[test]
fn sleep_is_the_difference_of_the_clocks() {
    let start = Instant::now();
    let at = |running: u64, suspend_adjusted: u64, source| {
        ClockReading::new(
            start + Duration::from_secs(running),
            Duration::from_secs(suspend_adjusted),
            source,
        )
    };
    let boot = ClockSource::BootClock;
    let gap = at(10, 5_610, boot).since(&at(0, 5_000, boot));
    assert_eq!(gap.awake(), Duration::from_secs(10));
    assert_eq!(gap.suspended(), Duration::from_secs(600));
    assert_eq!(gap.elapsed(), Duration::from_secs(610));
    assert!(gap.is_exact());
    assert_eq!(gap.to_string(), "suspended for 600.0 s of 610.0 s (exact, boot_clock)");
    // A wall clock set back, or another clock than before: no sleep is made up.
    let wall = ClockSource::WallClock;
    assert_eq!(at(10, 100, wall).since(&at(0, 5_000, wall)).suspended(), Duration::ZERO);
    let mixed = at(10, 9_000, boot).since(&at(0, 0, wall));
    assert_eq!((mixed.suspended(), mixed.is_exact()), (Duration::ZERO, false));
}

#[test]
fn a_watch_reports_each_suspension_once_and_adds_up_short_ones() {
    let start = Instant::now();
    let at = |running: u64, suspend_adjusted: u64, source| {
        let millis = Duration::from_millis;
        ClockReading::new(start + millis(running), millis(suspend_adjusted), source)
    };
    let uptime = ClockSource::ProcUptime;
    let mut watch = SuspendWatch::starting_at(at(0, 0, uptime));
    assert_eq!(watch.observe(at(1_000, 1_400, uptime)), None);
    assert_eq!(watch.observe(at(2_000, 2_800, uptime)), None);
    let gap = watch.observe(at(3_000, 4_200, uptime)).expect("three naps");
    assert_eq!((gap.suspended(), gap.is_exact()), (Duration::from_millis(1_200), false));
    assert_eq!(watch.observe(at(4_000, 5_200, uptime)), None);
    assert_eq!(watch.total_suspended(), Duration::from_millis(1_200));
    // By the wall clock, corrections do not add up.
    let wall = ClockSource::WallClock;
    let mut watch = SuspendWatch::starting_at(at(0, 0, wall));
    assert_eq!(watch.observe(at(1_000, 1_600, wall)), None);
    assert_eq!(watch.observe(at(2_000, 3_200, wall)), None);
    assert!(watch.observe(at(3_000, 9_000, wall)).is_some());
    assert_eq!(SuspendWatch::new().check(), None, "this machine was not suspended just now");
}
