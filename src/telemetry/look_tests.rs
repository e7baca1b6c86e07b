//! Files that others emptied, replaced or locked, as found by the periodic checks.
#![allow(clippy::unwrap_used)]

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::time::Duration;

use std::fs;

use super::*;
use crate::files::open::tests::folder;
use crate::telemetry::Options;

fn open(path: &Path, bytes_max: u64) -> AuditFile {
    let bytes_max = NonZeroU64::new(bytes_max).unwrap();
    let rotation = Some(Rotation { bytes_max, files: NonZeroU32::new(3).unwrap() });
    let options = Options { rotation, ..Options::default() };
    AuditFile::open(path, "20251122_164640", options).unwrap().file
}

/// Lines of one length: their numbers have one digit.
fn append(audit: &mut AuditFile) {
    let mut line = Line::new();
    line.begin(Stamp { since: Duration::from_secs(1_763_830_000), before_1970: false }, "", "e");
    let now = audit.looks.at();
    audit.append(&mut [line], now, false, "");
}

#[test]
fn a_file_is_rotated_at_its_size_and_not_where_somebody_emptied_it() {
    let folder = folder("look-size");
    let path = folder.join("a");
    let mut audit = open(&path, u64::MAX);
    append(&mut audit);
    let line = audit.size;
    drop(audit);
    fs::remove_file(&path).unwrap();
    let mut audit = open(&path, 2 * line);
    let rotations = |audit: &mut AuditFile| {
        append(audit);
        audit.stats.rotations
    };
    assert_eq!([(); 3].map(|()| rotations(&mut audit)), [0, 0, 1], "when it has just the size");
    append(&mut audit);
    assert_eq!(audit.size, 2 * line);
    fs::write(&path, "").unwrap();
    assert_eq!([(); 3].map(|()| rotations(&mut audit)), [1, 1, 2]);
    assert_eq!(fs::metadata(rotated(&path, 1)).unwrap().len(), 2 * line);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_torn_file_in_place_of_ours_is_repaired_and_that_is_reported() {
    let folder = folder("look-torn");
    let path = folder.join("a");
    // With a hard link, it is closed; otherwise it is cut.
    for linked in [false, true] {
        let mut audit = open(&path, u64::MAX);
        append(&mut audit);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "{}\n{\"torn").unwrap();
        if linked {
            fs::hard_link(&path, folder.join("b")).unwrap();
        }
        audit.looks.soon();
        append(&mut audit);
        assert_eq!((audit.stats.reopened, audit.stats.torn_closed), (1, u64::from(linked)));
        let text = fs::read_to_string(&path).unwrap();
        let reported = text.contains("\"event\":\"tail_repaired\",\"bytes_dropped\":6");
        assert_eq!((text.starts_with("{}\n{\"torn\n"), reported), (linked, !linked), "{text}");
        fs::remove_file(&path).unwrap();
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn who_else_has_the_new_file_is_known_from_then_on() {
    let folder = folder("look-others");
    let path = folder.join("a");
    let mut audit = open(&path, u64::MAX);
    append(&mut audit);
    fs::remove_file(&path).unwrap();
    let other = open(&path, u64::MAX);
    assert!(!audit.others && !other.others);
    audit.looks.soon();
    append(&mut audit);
    assert!(audit.others);
    fs::remove_dir_all(folder).unwrap();
}
