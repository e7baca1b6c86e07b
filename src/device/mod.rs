//! The state of the device, limits on it, and its suspended time.
//!
//! Reads `/proc` and `/sys`, and, if the program asks for it, runs commands of Termux:API.
//! Independent of helpers, providers and HTTP; the admission policy is a pure function of a
//! snapshot. Nothing here runs unless it is called: there is no thread, and no cache unless the
//! program creates one.
//!
//! The cargo feature `rustix` adds what the standard library does not offer: storage, the boot
//! clock (so that suspended time is exact), load and uptime where Android denies the files, and
//! the end of all processes that a Termux script started. It costs 5,032 bytes in
//! `examples/device_health` (profile `size`, x86-64: 526,272 to 531,304) and three crates on
//! Linux (rustix, bitflags, linux-raw-sys); on Android two more, errno and libc.

mod acting;
mod admission;
mod clock;
mod files;
mod memory;
mod network;
mod power;
mod profile;
mod reader;
mod reading;
mod snapshot;
mod system;
mod termux;
mod tools;

pub use admission::{Admission, AdmissionPolicy, CloudAction, Pressure};
pub use clock::{ClockGap, ClockReading, ClockSource, MIN_CLOCK_GAP, SuspendWatch};
pub use memory::{Memory, ProcessMemory};
pub use network::{Network, Wifi};
pub use power::{Battery, BatterySource, Temperature, ThermalZone};
pub use profile::DeviceProfile;
pub use reader::{DEFAULT_PROBE_LIMIT, DEFAULT_SNAPSHOT_AGE, DeviceReader, DeviceWatch};
pub use reading::Reading;
pub use snapshot::DeviceSnapshot;
pub use system::{Load, Storage};
pub use tools::device_tools;

/// The cargo feature that adds what the standard library does not offer.
pub(crate) const FEATURE: &str = "rustix";
