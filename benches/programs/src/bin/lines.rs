//! Times audit lines: `lines FOLDER`. One line a figure: `NAME WALL_NS CPU_NS` per line.
//!
//! Both contenders write from the same thread of the same process with a second thread in it,
//! as any program with a helper has: alone in its process, a thread's write(2) is some 70 ns
//! quicker, for the kernel then needs no lock on the file's descriptor.

#[path = "../clock.rs"]
mod clock;
#[path = "../write.rs"]
mod write;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use automation_assistant::{Fsync, Telemetry};

const LINES: usize = 100_000;
/// Lines that are forced to the disk: a call of milliseconds may be behind each.
const LINES_SYNCED: usize = 300;
/// A policy between the two ends.
const LINES_PER_SYNC: NonZeroU32 = NonZeroU32::new(100).unwrap();
const ROUNDS: usize = 5;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_default());
    for _ in 0..ROUNDS {
        let (path, bare) = (folder.join("us.jsonl"), folder.join("bare.jsonl"));
        let _ = std::fs::remove_file(&path);
        let (ours, by_hand) = (path.clone(), bare.clone());
        write::within_event(&path, move |line| {
            measure("us", || (0..LINES).for_each(|_| line()));
            against_bare("", &ours, &by_hand, 1);
        });
        let _ = std::fs::remove_file(&path);
        let (ours, by_hand) = (path.clone(), bare.clone());
        write::within_both(&path, move |lines| {
            measure("us-both", || (0..LINES / 2).for_each(|_| lines()));
            against_bare("-both", &ours, &by_hand, 2);
        });
        let _ = std::fs::remove_file(&path);
        synced(&path, "fsync-task", Fsync::EachTask);
        synced(&path, "fsync-lines", Fsync::EachLines(LINES_PER_SYNC));
        synced_by_hand(&path);
    }
}

/// The floor on this thread and now: the first lines of our file by turns, one write each.
fn against_bare(suffix: &str, ours: &Path, bare: &Path, count: usize) {
    let written = std::fs::read(ours).unwrap();
    let lines: Vec<_> = written.split_inclusive(|&byte| byte == b'\n').take(count).collect();
    let bytes = lines.iter().map(|line| line.len()).sum::<usize>() / count;
    println!("bytes{suffix} {bytes} 0");
    let mut file = write::open(bare);
    measure(&format!("bare{suffix}"), || {
        for _ in 0..LINES / count {
            lines.iter().for_each(|line| write::bare(&mut file, line, 1));
        }
    });
    let _ = std::fs::remove_file(bare);
}

fn synced(path: &Path, name: &'static str, fsync: Fsync) {
    let telemetry = Telemetry::builder(path).fsync(fsync).build().unwrap();
    write::within(telemetry, false, move |line| {
        let (wall, cpu) = clock::time(|| (0..LINES_SYNCED).for_each(|_| line()));
        println!("{name} {} {}", wall / LINES_SYNCED as u128, cpu / LINES_SYNCED as u128);
    });
    let _ = std::fs::remove_file(path);
}

/// The floor: a line that is ready, one write and one fdatasync each.
fn synced_by_hand(path: &Path) {
    let mut file = write::open(path);
    let line = [b'x'; 238];
    let (wall, cpu) = clock::time(|| {
        for _ in 0..LINES_SYNCED {
            write::bare(&mut file, &line, 1);
            file.sync_data().unwrap();
        }
    });
    println!("fsync-bare {} {}", wall / LINES_SYNCED as u128, cpu / LINES_SYNCED as u128);
    let _ = std::fs::remove_file(path);
}

fn measure(name: &str, work: impl FnOnce()) {
    let (wall, cpu) = clock::time(work);
    println!("{name} {} {}", wall / LINES as u128, cpu / LINES as u128);
}
