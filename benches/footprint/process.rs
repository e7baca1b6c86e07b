//! A process and its descendants, read from /proc.

use std::fs;
use std::time::Duration;

use crate::Fault;

/// Memory is read again until it stands still, at most so often.
const SETTLE_ROUNDS: usize = 40;
const SETTLE_PAUSE: Duration = Duration::from_millis(25);
/// So many equal readings in a row count as still.
const STILL: usize = 3;

/// Memory and threads of a process tree.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Memory {
    /// Resident pages, shared ones divided by their sharers, in KiB.
    pub(crate) pss: u64,
    /// Pages that nobody else has, in KiB.
    pub(crate) private: u64,
    /// Of the proportional size: pages of the program's own file that were not written to.
    pub(crate) program: u64,
    /// Of the proportional size: pages that were written to (stacks, heap, relocated data).
    pub(crate) written: u64,
    /// Of the proportional size: the rest, which is the share in the system's libraries.
    pub(crate) libraries: u64,
    pub(crate) threads: u64,
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok()
}

/// A number from /proc/PID/status.
pub(crate) fn status(pid: u32, name: &str) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, name)
}

/// The process and every one below it.
fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(&parent) = all.get(at) {
        let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        at += 1;
    }
    all
}

/// Unwritten pages of the program's own file, and pages that were written to, in KiB.
fn parts(pid: u32) -> Result<(u64, u64), Fault> {
    let own = fs::read_link(format!("/proc/{pid}/exe"))?;
    let (mut program, mut written, mut is_own) = (0_u64, 0, false);
    for line in fs::read_to_string(format!("/proc/{pid}/smaps"))?.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(second)) = (words.next(), words.next()) else { continue };
        let kib = || second.parse::<u64>().unwrap_or(0);
        match name {
            "Pss:" if is_own => program += kib(),
            // The process's own pages, be they copies of a file's.
            "Anonymous:" => {
                written += kib();
                program = program.saturating_sub(if is_own { kib() } else { 0 });
            }
            // A mapping's first line: addresses, rights, offset, device, inode, file.
            _ if !name.ends_with(':') => {
                is_own = words.nth(3).is_some_and(|file| own.as_os_str() == file);
            }
            _ => {}
        }
    }
    Ok((program, written))
}

fn memory_now(pid: u32) -> Result<Memory, Fault> {
    let mut sum = Memory::default();
    for id in tree(pid) {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let read = |name| field(&rollup, name).unwrap_or(0);
        sum.pss += read("Pss");
        sum.private += read("Private_Clean") + read("Private_Dirty");
        let (program, written) = parts(id)?;
        sum.program += program;
        sum.written += written;
        sum.libraries += read("Pss").saturating_sub(program + written);
        sum.threads += status(id, "Threads").unwrap_or(0);
    }
    Ok(sum)
}

/// Memory once it stands still.
pub(crate) fn memory(pid: u32) -> Result<Memory, Fault> {
    let mut last = memory_now(pid)?;
    let mut still = 0;
    for _ in 0..SETTLE_ROUNDS {
        std::thread::sleep(SETTLE_PAUSE);
        let now = memory_now(pid)?;
        still = if now == last { still + 1 } else { 0 };
        last = now;
        if still >= STILL {
            break;
        }
    }
    Ok(last)
}

/// The middle figure of each kind.
pub(crate) fn middle(runs: &[Memory]) -> Memory {
    let middle = |pick: fn(&Memory) -> u64| {
        let mut values: Vec<_> = runs.iter().map(pick).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    Memory {
        pss: middle(|memory| memory.pss),
        private: middle(|memory| memory.private),
        program: middle(|memory| memory.program),
        written: middle(|memory| memory.written),
        libraries: middle(|memory| memory.libraries),
        threads: middle(|memory| memory.threads),
    }
}

/// How often the threads of a process went to sleep of their own will.
pub(crate) fn sleeps(pid: u32) -> Result<u64, Fault> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("status"))?;
        sum += field(&text, "voluntary_ctxt_switches").ok_or("no voluntary_ctxt_switches")?;
    }
    Ok(sum)
}

/// Resident size in KiB of the largest mapping of exactly this size in KiB.
pub(crate) fn resident_of_mapping(pid: u32, size_kib: u64) -> Result<Option<u64>, Fault> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps"))?;
    let mut found = None;
    let mut matches = false;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(number)) = (words.next(), words.next()) else { continue };
        match name {
            "Size:" => matches = number.parse() == Ok(size_kib),
            "Rss:" if matches => found = found.max(number.parse().ok()),
            _ => {}
        }
    }
    Ok(found)
}

/// The machine, in a line.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("", |(_, name)| name);
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{} {}, {count} cores, {model}", std::env::consts::OS, std::env::consts::ARCH)
}
