//! Cores, load, uptime and storage.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::files::{Files, odd};
use super::reading::{NoReading, Probed};
use crate::number::decimal;

/// Load averages: tasks that run or wait to run, over the last minutes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// Over one minute.
    pub one_minute: f64,
    /// Over five minutes.
    pub five_minutes: f64,
    /// Over fifteen minutes.
    pub fifteen_minutes: f64,
}

impl Serialize for Load {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Load", 3)?;
        out.serialize_field("one_minute", &self.one_minute)?;
        out.serialize_field("five_minutes", &self.five_minutes)?;
        out.serialize_field("fifteen_minutes", &self.fifteen_minutes)?;
        out.end()
    }
}

/// Space of the file system that holds one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Storage {
    /// The total space.
    pub total_bytes: u64,
    /// The space that a program without root can still write.
    pub available_bytes: u64,
}

impl Serialize for Storage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Storage", 2)?;
        out.serialize_field("total_bytes", &self.total_bytes)?;
        out.serialize_field("available_bytes", &self.available_bytes)?;
        out.end()
    }
}

const LOADAVG: &str = "proc/loadavg";
const UPTIME: &str = "proc/uptime";
/// No device has more cores: the file is damaged.
const MAX_CORES: usize = 4096;
/// Longest plausible uptime: a hundred years, in seconds.
const MAX_UPTIME_SECONDS: u64 = 100 * 365 * 86_400;
/// More than two numbers of that size take.
const UPTIME_BYTES_MAX: usize = 64;

pub(crate) fn cores(files: &Files<'_>, live: bool) -> Probed<usize> {
    if live {
        // Respects CPU quotas and affinity, which are in several files.
        let cores = std::thread::available_parallelism();
        return cores.map(Into::into).map_err(|error| {
            NoReading::because(format!("the system does not report its cores: {}", error.kind()))
        });
    }
    let path = "sys/devices/system/cpu/online";
    let text = files.text(path)?;
    count_list(text.trim()).ok_or_else(|| odd(path))
}

/// How many numbers a list such as `0-3,6` contains.
fn count_list(list: &str) -> Option<usize> {
    let mut count = 0usize;
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
        count = count.saturating_add(to.checked_sub(from)?.saturating_add(1));
    }
    (count <= MAX_CORES).then_some(count)
}

pub(crate) fn load(files: &Files<'_>, live: bool) -> Probed<Load> {
    let from_file = files.text(LOADAVG).and_then(|text| {
        let mut averages =
            text.split_whitespace().map_while(|number| decimal(number).filter(|n| n.is_finite()));
        match (averages.next(), averages.next(), averages.next()) {
            (Some(one_minute), Some(five_minutes), Some(fifteen_minutes)) => {
                Ok(Load { one_minute, five_minutes, fifteen_minutes })
            }
            _ => Err(odd(LOADAVG)),
        }
    });
    match from_file {
        Err(_) if live && os::AVAILABLE => os::load(),
        Err(why) if live => Err(with_feature(why)),
        other => other,
    }
}

pub(crate) fn uptime(files: &Files<'_>, live: bool) -> Probed<Duration> {
    match proc_uptime(files) {
        Err(_) if live && os::AVAILABLE => os::boot_time(),
        Err(why) if live => Err(with_feature(why)),
        other => other,
    }
}

/// Time since the start of the system, suspended time included, to 10 ms.
pub(crate) fn proc_uptime(files: &Files<'_>) -> Probed<Duration> {
    parse_uptime(&files.text(UPTIME)?).ok_or_else(|| odd(UPTIME))
}

/// The same for the running system, for programs that read nothing else of the device: they link
/// only this.
pub(crate) fn own_uptime() -> Option<Duration> {
    let mut text = [0; UPTIME_BYTES_MAX];
    let length = File::open("/proc/uptime").ok()?.read(&mut text).ok()?;
    parse_uptime(std::str::from_utf8(text.get(..length)?).ok()?)
}

/// `350735.47 234388.90`: the first is the time since the start of the system, in seconds.
fn parse_uptime(text: &str) -> Option<Duration> {
    let first = text.split_whitespace().next()?;
    let (seconds, fraction) = first.split_once('.').unwrap_or((first, ""));
    let mut nanoseconds = 0;
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(9) {
        nanoseconds = nanoseconds * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    let seconds = seconds.parse().ok().filter(|seconds| *seconds <= MAX_UPTIME_SECONDS)?;
    Some(Duration::new(seconds, nanoseconds))
}

pub(crate) fn storage(path: &Path) -> Probed<Storage> {
    os::storage(path)
}

/// Adds the feature that would read a value whose file is denied.
fn with_feature(why: NoReading) -> NoReading {
    match why {
        NoReading::Unavailable(why) | NoReading::Denied(why) => NoReading::because(format!(
            "{why}; the cargo feature \"{}\" asks the system itself",
            super::FEATURE
        )),
        other => other,
    }
}

pub(crate) use os::boot_time;
pub(crate) use os::kill_group;

#[cfg(all(feature = "rustix", any(target_os = "linux", target_os = "android")))]
mod os {
    //! System calls through rustix.

    use super::*;

    pub(crate) const AVAILABLE: bool = true;
    /// The kernel reports load averages in units of 1/65,536.
    const LOAD_UNIT: f64 = 65_536.0;

    pub(crate) fn storage(path: &Path) -> Probed<Storage> {
        let space = rustix::fs::statvfs(path).map_err(|error| {
            let kind = std::io::Error::from(error).kind();
            NoReading::because(format!("the system does not report the space of the path: {kind}"))
        })?;
        Ok(Storage {
            total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            available_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }

    pub(crate) fn load() -> Probed<Load> {
        let [one_minute, five_minutes, fifteen_minutes] =
            rustix::system::sysinfo().loads.map(|load| load as f64 / LOAD_UNIT);
        Ok(Load { one_minute, five_minutes, fifteen_minutes })
    }

    /// The boot clock: time since the start of the system, suspended time included.
    pub(crate) fn boot_time() -> Probed<Duration> {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (Ok(seconds), Ok(nanos)) = (time.tv_sec.try_into(), time.tv_nsec.try_into()) else {
            return Err(NoReading::because("the boot clock shows a time before the boot"));
        };
        Ok(Duration::new(seconds, nanos))
    }

    /// Kills the process group that the child leads.
    pub(crate) fn kill_group(leader: u32) {
        let leader = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(leader) = leader {
            // It may have ended by itself; then there is nothing to kill.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(not(all(feature = "rustix", any(target_os = "linux", target_os = "android"))))]
mod os {
    //! The standard library has no functions for these values.

    use super::*;

    pub(crate) const AVAILABLE: bool = false;

    fn missing<T>(what: &str) -> Probed<T> {
        Err(NoReading::because(format!(
            "{what} needs the cargo feature \"{}\" (Linux and Android)",
            super::super::FEATURE
        )))
    }

    pub(crate) fn storage(_path: &Path) -> Probed<Storage> {
        missing("the space of a file system")
    }

    pub(crate) fn load() -> Probed<Load> {
        missing("the load")
    }

    pub(crate) fn boot_time() -> Probed<Duration> {
        missing("the boot clock")
    }

    pub(crate) fn kill_group(_leader: u32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_are_read_and_what_is_none_is_not() {
        let read = |text| parse_uptime(text).map(|time: Duration| time.as_millis());
        assert_eq!(read("350735.47 234388.90\n"), Some(350_735_470));
        assert_eq!(read("7 5\n"), Some(7_000));
        assert_eq!(read("0.5"), Some(500));
        for text in ["", "-1.00 0.00", "1.x 0", "1e3 1", "99999999999999999999.00", "4000000000.00"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        if cfg!(target_os = "linux") {
            assert!(own_uptime().is_some());
        }
    }
}
