//! Wall and processor time of a piece of work.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of this process so far, in nanoseconds.
pub fn cpu() -> u128 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u128 * 1_000_000_000 + time.tv_nsec as u128
}

/// Nanoseconds by the clock and by the processors.
#[allow(dead_code)]
pub fn time(work: impl FnOnce()) -> (u128, u128) {
    let (began, used) = (Instant::now(), cpu());
    work();
    (began.elapsed().as_nanos(), cpu() - used)
}
