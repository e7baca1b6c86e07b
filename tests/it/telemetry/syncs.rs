//! When lines are forced to the disk.

use std::fs;

use automation_assistant::{Fsync, Telemetry};

use super::{Folder, lines, log};

#[test]
fn sync_policies_write_the_same_lines() {
    let folder = Folder::new("fsync");
    for fsync in [Fsync::Never, Fsync::EachLines(3.try_into().unwrap()), Fsync::EachTask] {
        let path = folder.join("audit.jsonl");
        let telemetry = Telemetry::builder(&path).fsync(fsync).build().unwrap();
        log(&telemetry, 3);
        telemetry.sync().unwrap();
        assert_eq!(telemetry.stats().last_error, None);
        drop(telemetry);
        assert_eq!(lines(&path).len(), 9, "{fsync:?}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn lines_are_forced_to_the_disk_as_often_as_asked_for() {
    let folder = Folder::new("syncs");
    let each = |lines: u32| Fsync::EachLines(lines.try_into().unwrap());
    // A spawn, two lines for each of three tasks, a stop.
    for (fsync, syncs) in [(Fsync::Never, 0), (each(3), 2), (each(8), 1), (Fsync::EachTask, 3)] {
        let path = folder.join("audit.jsonl");
        let telemetry = Telemetry::builder(&path).fsync(fsync).build().unwrap();
        log(&telemetry, 3);
        assert_eq!((telemetry.stats().lines_written, telemetry.stats().syncs), (8, syncs));
        telemetry.sync().unwrap();
        assert_eq!(telemetry.stats().syncs, syncs + 1, "{fsync:?}");
        drop(telemetry);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_file_is_forced_to_the_disk_before_it_is_moved_aside() {
    let folder = Folder::new("aside-sync");
    for (fsync, synced) in
        [(Fsync::Never, false), (Fsync::EachLines(u32::MAX.try_into().unwrap()), true)]
    {
        let path = folder.join("audit.jsonl");
        let telemetry = Telemetry::builder(&path).fsync(fsync).rotate(2000, 2).build().unwrap();
        log(&telemetry, 20);
        let stats = telemetry.stats();
        assert!(stats.rotations > 0);
        assert_eq!(stats.syncs, if synced { stats.rotations } else { 0 });
    }
}
