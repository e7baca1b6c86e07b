//! Suspended time.
//!
//! `Instant` does not advance while a phone or a laptop is suspended (Doze, a closed lid); the
//! boot clock and the wall clock do. Their difference is the suspended time.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::system;

/// A clock that advances while the device is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClockSource {
    /// The system's boot clock, asked directly (cargo feature `rustix`): exact.
    BootClock,
    /// `/proc/uptime`: the boot clock, rounded to 10 ms and read a moment later; an estimate.
    ProcUptime,
    /// The wall clock: an estimate, since setting it forwards looks like suspended time and
    /// setting it backwards hides some.
    WallClock,
}

impl ClockSource {
    /// The name in JSON: `boot_clock`, `proc_uptime`, `wall_clock`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BootClock => "boot_clock",
            Self::ProcUptime => "proc_uptime",
            Self::WallClock => "wall_clock",
        }
    }

    /// Whether differences of this clock are exact.
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::BootClock)
    }
}

impl fmt::Display for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    monotonic: Instant,
    suspend_adjusted: Duration,
    source: ClockSource,
}

/// The longest time between the reads of the two clocks. If it is exceeded, the thread was
/// interrupted between them, and they are read again.
const BRACKET: Duration = Duration::from_millis(5);
/// How often they are read; on a very busy device the last reading is used.
const ATTEMPTS: usize = 4;

impl ClockReading {
    /// Reads the clocks, from the best source that this device allows.
    pub fn now() -> Self {
        let mut reading = Self::once();
        for _ in 1..ATTEMPTS {
            if reading.monotonic.elapsed() < BRACKET {
                break;
            }
            reading = Self::once();
        }
        reading
    }

    fn once() -> Self {
        let monotonic = Instant::now();
        let (source, suspend_adjusted) = suspend_adjusted_clock();
        Self { monotonic, suspend_adjusted, source }
    }

    /// A reading from other clocks: `suspend_adjusted`, which advances during suspension, counts
    /// from any fixed moment.
    pub const fn new(monotonic: Instant, suspend_adjusted: Duration, source: ClockSource) -> Self {
        Self { monotonic, suspend_adjusted, source }
    }

    /// The clock that advances during suspension.
    pub const fn source(&self) -> ClockSource {
        self.source
    }

    /// The time between an earlier reading and this one. Where the sources differ, the suspended
    /// time is not known and taken as zero (with the less exact source named).
    pub fn since(&self, earlier: &Self) -> ClockGap {
        let awake = self.monotonic.saturating_duration_since(earlier.monotonic);
        let comparable = self.source == earlier.source;
        let passed = self.suspend_adjusted.saturating_sub(earlier.suspend_adjusted);
        let suspended = if comparable { passed.saturating_sub(awake) } else { Duration::ZERO };
        let source = if comparable { self.source } else { ClockSource::WallClock };
        ClockGap { awake, suspended, source }
    }
}

fn suspend_adjusted_clock() -> (ClockSource, Duration) {
    if let Ok(time) = system::boot_time() {
        return (ClockSource::BootClock, time);
    }
    if let Some(time) = system::own_uptime() {
        return (ClockSource::ProcUptime, time);
    }
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (ClockSource::WallClock, wall)
}

/// The time between two readings of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockGap {
    awake: Duration,
    suspended: Duration,
    source: ClockSource,
}

impl ClockGap {
    /// The time during which the device was not suspended, as `Instant` counts it.
    pub const fn awake(&self) -> Duration {
        self.awake
    }

    /// The time suspended. Differences below [`MIN_CLOCK_GAP`] are not significant.
    pub const fn suspended(&self) -> Duration {
        self.suspended
    }

    /// The sum of both.
    pub fn elapsed(&self) -> Duration {
        self.awake.saturating_add(self.suspended)
    }

    /// The clock that advanced during suspension.
    pub const fn source(&self) -> ClockSource {
        self.source
    }

    /// Whether `suspended` is exact; an estimate otherwise.
    pub const fn is_exact(&self) -> bool {
        self.source.is_exact()
    }
}

impl fmt::Display for ClockGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.is_exact() { "exact" } else { "estimated" };
        let suspended = self.suspended.as_secs_f64();
        let all = self.elapsed().as_secs_f64();
        write!(f, "suspended for {suspended:.1} s of {all:.1} s ({how}, {})", self.source)
    }
}

/// Least suspended time that is reported (1 s): a shorter one cannot be distinguished from
/// rounding, a busy device, or a wall clock that is being corrected.
pub const MIN_CLOCK_GAP: Duration = Duration::from_secs(1);

/// Reports, each time it is asked, for how long the device was suspended.
///
/// ```
/// use automation_assistant::device::SuspendWatch;
///
/// let mut watch = SuspendWatch::new();
/// // … some work, perhaps with the phone in a pocket …
/// match watch.check() {
///     Some(gap) => println!("{gap}"),
///     None => println!("never suspended"),
/// }
/// ```
#[derive(Debug, Clone)]
pub struct SuspendWatch {
    last: ClockReading,
    total: Duration,
}

impl SuspendWatch {
    /// Watches from this moment on.
    pub fn new() -> Self {
        Self::starting_at(ClockReading::now())
    }

    /// Watches from this reading on.
    pub const fn starting_at(reading: ClockReading) -> Self {
        Self { last: reading, total: Duration::ZERO }
    }

    /// Reads the clocks; see [`observe`](Self::observe).
    pub fn check(&mut self) -> Option<ClockGap> {
        self.observe(ClockReading::now())
    }

    /// The suspended time since the last gap was returned, once it is [`MIN_CLOCK_GAP`] or more.
    ///
    /// Shorter ones add up, except by the wall clock, where each call starts anew: its small
    /// corrections would add up too.
    pub fn observe(&mut self, now: ClockReading) -> Option<ClockGap> {
        let gap = now.since(&self.last);
        let counts = gap.suspended >= MIN_CLOCK_GAP;
        let starts_anew = now.source != self.last.source || now.source == ClockSource::WallClock;
        if counts || starts_anew || now.suspend_adjusted < self.last.suspend_adjusted {
            self.last = now;
        }
        if !counts {
            return None;
        }
        self.total = self.total.saturating_add(gap.suspended);
        Some(gap)
    }

    /// All suspended time returned so far.
    pub const fn total_suspended(&self) -> Duration {
        self.total
    }
}

impl Default for SuspendWatch {
    fn default() -> Self {
        Self::new()
    }
}
