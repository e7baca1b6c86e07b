//! Bounds that suit a device.

use std::fmt;
use std::time::Duration;

use super::admission::AdmissionPolicy;
use super::reader::DeviceReader;
use crate::config::{
    DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS, DEFAULT_QUEUE_CAPACITY, DEFAULT_STACK_BYTES,
    HelperConfig,
};

/// Bounds that suit a device: threads, queues, results, times.
///
/// ```
/// use automation_assistant::HelperConfig;
/// use automation_assistant::device::DeviceProfile;
///
/// let profile = DeviceProfile::detect();
/// let config = profile.apply(HelperConfig::local().name("notes"));
/// println!("{profile}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceProfile {
    name: &'static str,
    cores: usize,
    memory_bytes: Option<u64>,
    max_helpers: usize,
    threads_per_helper: usize,
    queue_capacity: usize,
    max_results: usize,
    max_result_bytes: usize,
    timeout: Duration,
    stack_bytes: usize,
    min_available_memory_bytes: u64,
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Below this, a device counts as small. (A device sold with 2 GB reports less: its graphics and
/// its radio reserve some.)
const SMALL_BELOW_BYTES: u64 = 5 * GIB / 2;
/// Below this, it counts as a phone. (8 GB, less what a phone of that size reserves.)
const PHONE_BELOW_BYTES: u64 = 7 * GIB;
/// A phone with a low charge should last for its owner's calls.
const MIN_BATTERY_PERCENT: u8 = 15;
/// Processors throttle themselves from about 85 to 100 °C on.
const MAX_CELSIUS: f64 = 85.0;
/// Batteries age fast above it, and Android begins to switch functions off.
const MAX_BATTERY_CELSIUS: f64 = 45.0;

impl DeviceProfile {
    /// The profile for this device, by its cores and its memory. A control group's limit counts
    /// as its memory. If the memory is unknown, the phone's bounds are used.
    pub fn detect() -> Self {
        let reader = DeviceReader::new();
        let memory = reader.memory().into_value().map(|memory| memory.usable_bytes());
        Self::for_device(reader.cores().into_value().unwrap_or(1), memory)
    }

    /// The profile for a device with this many cores and this much memory.
    ///
    /// Memory selects between [`small`](Self::small), the phone and [`desktop`](Self::desktop);
    /// with few cores, the number of helpers is at most twice the cores, since a helper mostly
    /// waits for the network.
    pub fn for_device(cores: usize, memory_bytes: Option<u64>) -> Self {
        let mut profile = match memory_bytes {
            Some(bytes) if bytes < SMALL_BELOW_BYTES => Self::small(),
            Some(bytes) if bytes >= PHONE_BELOW_BYTES => Self::desktop(),
            _ => Self { name: "phone", ..Self::galaxy_a16() },
        };
        profile.cores = cores.max(1);
        profile.memory_bytes = memory_bytes;
        profile.max_helpers = profile.max_helpers.min(profile.cores.saturating_mul(2));
        profile
    }

    /// The Samsung Galaxy A16: eight cores (two fast, six slow ones) and 4 GB of memory in its
    /// smallest version, most of which Android uses.
    pub fn galaxy_a16() -> Self {
        Self {
            name: "galaxy_a16",
            cores: 8,
            memory_bytes: Some(4 * GIB),
            max_helpers: 4,
            threads_per_helper: 2,
            queue_capacity: 64,
            max_results: 128,
            max_result_bytes: 4 << 20,
            timeout: Duration::from_secs(60),
            stack_bytes: DEFAULT_STACK_BYTES,
            min_available_memory_bytes: 256 * MIB,
        }
    }

    /// A small computer: one or two cores' worth of work, 512 MB to 2 GB of memory.
    pub fn small() -> Self {
        Self {
            name: "small",
            cores: 2,
            memory_bytes: Some(GIB),
            max_helpers: 2,
            threads_per_helper: 1,
            queue_capacity: 32,
            max_results: 32,
            max_result_bytes: 1 << 20,
            timeout: Duration::from_secs(60),
            stack_bytes: 512 << 10,
            min_available_memory_bytes: 64 * MIB,
        }
    }

    /// A computer with 8 GB of memory or more: the defaults of [`HelperConfig`], and four
    /// threads a helper.
    pub fn desktop() -> Self {
        Self {
            name: "desktop",
            cores: 8,
            memory_bytes: Some(16 * GIB),
            max_helpers: 16,
            threads_per_helper: 4,
            queue_capacity: DEFAULT_QUEUE_CAPACITY,
            max_results: DEFAULT_MAX_RESULTS,
            max_result_bytes: DEFAULT_MAX_RESULT_BYTES,
            timeout: Duration::from_secs(30),
            stack_bytes: DEFAULT_STACK_BYTES,
            min_available_memory_bytes: 512 * MIB,
        }
    }

    /// Its name: `galaxy_a16`, `phone`, `small`, `desktop`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Processor cores of the device.
    pub const fn cores(&self) -> usize {
        self.cores
    }

    /// Memory of the device, in bytes, if it is known.
    pub const fn memory_bytes(&self) -> Option<u64> {
        self.memory_bytes
    }

    /// The greatest number of helpers that a manager should have.
    pub const fn max_helpers(&self) -> usize {
        self.max_helpers
    }

    /// Tasks that one helper should run at once; 1 for a helper of a Local model server.
    pub const fn threads_per_helper(&self) -> usize {
        self.threads_per_helper
    }

    /// The greatest number of tasks that should be queued at one helper.
    pub const fn queue_capacity(&self) -> usize {
        self.queue_capacity
    }

    /// Finished tasks that one helper should keep.
    pub const fn max_results(&self) -> usize {
        self.max_results
    }

    /// The text of finished tasks that one helper should keep, in bytes.
    pub const fn max_result_bytes(&self) -> usize {
        self.max_result_bytes
    }

    /// Least time-out of a task; backends with a longer default keep theirs.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Stack of a thread, in bytes.
    pub const fn stack_bytes(&self) -> usize {
        self.stack_bytes
    }

    /// Sets these bounds in a configuration.
    ///
    /// Only bounds that have their default values are set, so that the user's bounds are kept;
    /// setters called afterwards override the profile. (A bound that was set to its default value
    /// before looks unset; set that one afterwards.) The longer time-outs of slow backends are
    /// kept: 120 s at Comet and 300 s at a Local model server. So is the single thread of a Local
    /// model server: it decodes one answer at a time, and more at once would only share its
    /// processors.
    #[must_use]
    pub fn apply(&self, mut config: HelperConfig) -> HelperConfig {
        let take = |bound: &mut usize, default: usize, ours: usize| {
            if *bound == default {
                *bound = ours;
            }
        };
        if !config.is_local_server() {
            take(&mut config.max_concurrent_tasks, 1, self.threads_per_helper);
        }
        take(&mut config.queue_capacity, DEFAULT_QUEUE_CAPACITY, self.queue_capacity);
        take(&mut config.max_results, DEFAULT_MAX_RESULTS, self.max_results);
        take(&mut config.max_result_bytes, DEFAULT_MAX_RESULT_BYTES, self.max_result_bytes);
        take(&mut config.stack_bytes, DEFAULT_STACK_BYTES, self.stack_bytes);
        if config.timeout.is_none() && config.effective_timeout() < self.timeout {
            config.timeout = Some(self.timeout);
        }
        config
    }

    /// A policy for cloud tasks that suits the device: it waits below 15 % of charge
    /// (unless charging), below the profile's share of free memory, above 85 °C at any
    /// thermal zone, and above 45 °C at the battery.
    pub fn admission(&self) -> AdmissionPolicy {
        AdmissionPolicy::new()
            .min_battery_percent(MIN_BATTERY_PERCENT)
            .min_available_memory_bytes(self.min_available_memory_bytes)
            .max_temperature_celsius(MAX_CELSIUS)
            .max_battery_temperature_celsius(MAX_BATTERY_CELSIUS)
    }
}

impl fmt::Display for DeviceProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} helpers of {} threads, {} tasks waiting, {} results ({} KiB) kept, \
             {} s a task, stacks of {} KiB",
            self.name,
            self.max_helpers,
            self.threads_per_helper,
            self.queue_capacity,
            self.max_results,
            self.max_result_bytes >> 10,
            self.timeout.as_secs(),
            self.stack_bytes >> 10,
        )
    }
}
