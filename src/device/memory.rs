//! Memory of the device and of this process.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::files::{Files, field, kilobytes, odd};
use super::reading::{Probed, Reading};

/// Memory of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// The total memory.
    pub total_bytes: u64,
    /// The memory that programs can still use before the system has to swap or to kill some; if
    /// less, what remains of the process's control group limit.
    pub available_bytes: u64,
    /// All swap space (on phones mostly compressed memory); 0 if there is none.
    pub swap_total_bytes: u64,
    /// Swap space that is free.
    pub swap_free_bytes: u64,
    /// The limit of the control group that this process is in (a container, a service), if
    /// it has one below `total_bytes`.
    pub limit_bytes: Option<u64>,
}

impl Memory {
    /// The most that this process may use: the total, or its control group's limit.
    pub fn usable_bytes(&self) -> u64 {
        self.limit_bytes.map_or(self.total_bytes, |limit| limit.min(self.total_bytes))
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Memory", 5)?;
        out.serialize_field("total_bytes", &self.total_bytes)?;
        out.serialize_field("available_bytes", &self.available_bytes)?;
        out.serialize_field("swap_total_bytes", &self.swap_total_bytes)?;
        out.serialize_field("swap_free_bytes", &self.swap_free_bytes)?;
        out.serialize_field("limit_bytes", &self.limit_bytes)?;
        out.end()
    }
}

/// Memory, threads and files of this process.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProcessMemory {
    /// Memory in use, including memory shared with other processes (RSS).
    pub resident_bytes: u64,
    /// Memory in use, with this process's proportion of shared memory (PSS).
    pub proportional_bytes: Reading<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files and sockets.
    pub open_files: Reading<u64>,
}

impl Serialize for ProcessMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("ProcessMemory", 4)?;
        out.serialize_field("resident_bytes", &self.resident_bytes)?;
        out.serialize_field("proportional_bytes", &self.proportional_bytes)?;
        out.serialize_field("threads", &self.threads)?;
        out.serialize_field("open_files", &self.open_files)?;
        out.end()
    }
}

const MEMINFO: &str = "proc/meminfo";
const STATUS: &str = "proc/self/status";
const SMAPS: &str = "proc/self/smaps_rollup";
const FDS: &str = "proc/self/fd";
/// Open files are counted up to this number.
const MAX_OPEN_FILES: usize = 65_536;

pub(crate) fn memory(files: &Files<'_>) -> Probed<Memory> {
    let text = files.text(MEMINFO)?;
    let total = kilobytes(&text, "MemTotal").filter(|&bytes| bytes > 0);
    let total = total.ok_or_else(|| odd(MEMINFO))?;
    let available = kilobytes(&text, "MemAvailable")
        .or_else(|| available_of_old(&text))
        .ok_or_else(|| odd(MEMINFO))?;
    let mut memory = Memory {
        total_bytes: total,
        available_bytes: available.min(total),
        swap_total_bytes: kilobytes(&text, "SwapTotal").unwrap_or(0),
        swap_free_bytes: kilobytes(&text, "SwapFree").unwrap_or(0),
        limit_bytes: None,
    };
    // In version 1, a very large number means no limit.
    if let Some((limit, left)) = group_limit(files).filter(|&(limit, _)| limit < total) {
        memory.limit_bytes = Some(limit);
        memory.available_bytes = memory.available_bytes.min(left);
    }
    Ok(memory)
}

/// Kernels before 3.14 (old phones) have no estimate; free memory plus caches is close.
fn available_of_old(text: &str) -> Option<u64> {
    let part = |key| kilobytes(text, key);
    Some(part("MemFree")?.saturating_add(part("Buffers")?).saturating_add(part("Cached")?))
}

/// The tightest limit of this process's control groups, and what remains of it, in bytes.
fn group_limit(files: &Files<'_>) -> Option<(u64, u64)> {
    let folders = group_folders(files);
    let limits = folders.iter().flat_map(|group| {
        [GROUP_2, GROUP_1].into_iter().filter_map(|names| limit_of(files, group, &names))
    });
    // Of two limits, the one with less remaining is reached first.
    limits.min_by_key(|&(_, left)| left)
}

fn limit_of(files: &Files<'_>, group: &str, names: &GroupFiles) -> Option<(u64, u64)> {
    let read = |name: &str| files.text(format!("{group}/{name}")).ok();
    let number = |name| read(name)?.trim().parse::<u64>().ok();
    // "max" in version 2 is not a number: no limit.
    let (limit, used) = (number(names.limit)?, number(names.used)?);
    // File cache that was not used recently is released first when memory is short.
    let stat = read("memory.stat").unwrap_or_default();
    let cache = stat.lines().find_map(|line| line.strip_prefix(names.cache));
    let cache = cache.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
    Some((limit, limit.saturating_sub(used.saturating_sub(cache))))
}

struct GroupFiles {
    limit: &'static str,
    used: &'static str,
    cache: &'static str,
}

const GROUP_2: GroupFiles =
    GroupFiles { limit: "memory.max", used: "memory.current", cache: "inactive_file " };
const GROUP_1: GroupFiles = GroupFiles {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: "total_inactive_file ",
};

/// Deepest nesting of control groups that is followed; services nest to about five.
const MAX_GROUP_DEPTH: usize = 16;

/// The folders of this process's control groups: on a host its own folder and its parents, whose
/// limits apply too; in a container the root of the mount.
fn group_folders(files: &Files<'_>) -> Vec<String> {
    let mut folders = vec!["sys/fs/cgroup".to_owned(), "sys/fs/cgroup/memory".to_owned()];
    let text = files.text("proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mut folder = "sys/fs/cgroup".to_owned();
    for part in own.split('/').filter(|part| !part.is_empty()).take(MAX_GROUP_DEPTH) {
        // A path with `..` would leave the tree.
        if part == ".." {
            break;
        }
        folder = format!("{folder}/{part}");
        folders.push(folder.clone());
    }
    folders
}

pub(crate) fn process(files: &Files<'_>, live: bool) -> Probed<ProcessMemory> {
    let text = files.text(STATUS)?;
    let resident = kilobytes(&text, "VmRSS").ok_or_else(|| odd(STATUS))?;
    let proportional =
        files.text(SMAPS).and_then(|text| kilobytes(&text, "Pss").ok_or_else(|| odd(SMAPS)));
    // Reading the folder itself takes an open file.
    let look = u64::from(live);
    let open_files = files.count(FDS, MAX_OPEN_FILES).map(|count| count.saturating_sub(look));
    Ok(ProcessMemory {
        resident_bytes: resident,
        proportional_bytes: proportional.into(),
        threads: field(&text, "Threads").and_then(|n| n.parse().ok()),
        open_files: open_files.into(),
    })
}
