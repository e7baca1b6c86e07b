//! Wall and processor time of some work.

use std::time::Instant;

use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this process so far, in nanoseconds.
pub fn cpu() -> u128 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u128 * 1_000_000_000 + time.tv_nsec as u128
}

/// Keeps this thread, and those it starts from now on, on one processor, or lets them go again.
#[allow(dead_code)]
pub fn on_one_processor(one: bool) {
    let mut processors = CpuSet::new();
    (0..if one { 1 } else { CpuSet::MAX_CPU }).for_each(|processor| processors.set(processor));
    // Where processor 0 is not ours to use, everybody runs as the system likes.
    let _ = sched_setaffinity(None, &processors);
}

/// Nanoseconds by the clock and by the processors.
#[allow(dead_code)]
pub fn time(work: impl FnOnce()) -> (u128, u128) {
    let (began, used) = (Instant::now(), cpu());
    work();
    (began.elapsed().as_nanos(), cpu() - used)
}
