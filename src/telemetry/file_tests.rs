//! Partial writes, which no disk of a test machine produces by itself.
#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;
use crate::files::lock::tests::without_locks;
use crate::files::open::tests::folder;

fn open(path: &Path) -> AuditFile {
    AuditFile::open(path, "20251122_164640", Options::default()).unwrap().file
}

fn append(audit: &mut AuditFile) {
    let mut line = Line::new();
    line.begin(Stamp::now(), "", "e");
    audit.append(&mut [line], Stamp::now(), false, "");
}

/// For each line in order that is not blank, whether it is complete.
fn wholes(path: &Path) -> Vec<bool> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let lines = text.lines().filter(|line| !line.trim_ascii().is_empty());
    lines.map(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).collect()
}

/// Simulates a disk that takes only these bytes of the next write.
fn tear(audit: &mut AuditFile, part: &[u8]) {
    (&*audit.file).write_all(part).unwrap();
    audit.torn = true;
    audit.mend((&*audit.file).stream_position().unwrap());
}

#[test]
fn a_part_of_a_line_is_taken_back_or_closed_where_others_write() {
    let folder = folder("part");
    let path = folder.join("a");
    let mut audit = open(&path);
    append(&mut audit);
    tear(&mut audit, b"{\"par");
    append(&mut audit);
    assert_eq!(wholes(&path), [true, true], "alone, it takes the part back");
    let other = open(&path);
    tear(&mut audit, b"{\"par");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with("}\n{\"pa\n"), "with another, the part becomes a line: {text}");
    append(&mut audit);
    assert_eq!(wholes(&path), [true, true, false, true]);
    drop(other);
    // The newline that was to close an older part was removed with the part.
    (&*audit.file).write_all(b"{\"par").unwrap();
    tear(&mut audit, b"\n{\"p");
    append(&mut audit);
    assert_eq!(wholes(&path), [true, true, false, true, false, true]);
    assert_eq!(audit.stats.torn_closed, 1);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_part_under_a_hard_link_or_without_locks_is_closed_and_never_cut() {
    let folder = folder("nocut");
    for (name, linked) in [("linked", true), ("lockless", false)] {
        let path = folder.join(name);
        let mut audit = if linked { open(&path) } else { without_locks(|| open(&path)) };
        append(&mut audit);
        if linked {
            fs::hard_link(&path, folder.join("victim")).unwrap();
        }
        tear(&mut audit, b"{\"par");
        append(&mut audit);
        assert_eq!(wholes(&path), [true, false, true], "{name}");
        assert_eq!(audit.stats.torn_closed, 1);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn who_wrote_behind_a_part_has_a_line_again_once_that_is_ended() {
    let folder = folder("behind");
    let path = folder.join("a");
    let (mut one, mut other) = (open(&path), open(&path));
    append(&mut one);
    (&*one.file).write_all(b"{\"part").unwrap();
    let end = (&*one.file).stream_position().unwrap();
    append(&mut other);
    one.torn = true;
    one.mend(end);
    assert_eq!(wholes(&path), [true, false, true]);
    assert_eq!((one.stats.lines_written, other.stats.lines_written), (1, 1));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_line_that_another_s_torn_one_swallowed_gets_a_line_of_its_own() {
    let folder = folder("joined");
    let path = folder.join("a");
    let (mut one, mut other) = (open(&path), open(&path));
    append(&mut one);
    // This writer does not know of the other yet; it checks within a second.
    one.others = true;
    for two in [false, true] {
        let before = one.stats.lines_written;
        // A whole line without a newline, as another program may write it.
        let foreign = if two { "{\"torn" } else { "{\"whole\":1}" };
        (&*other.file).write_all(foreign.as_bytes()).unwrap();
        let mut lines = [Line::new(), Line::new()];
        for line in &mut lines {
            line.begin(one.looks.at(), "", "e");
        }
        let lines = if two { &mut lines[..] } else { &mut lines[..1] };
        one.append(lines, one.looks.at(), false, "");
        assert_eq!(one.stats.lines_written - before, lines.len() as u64);
        assert_eq!(one.size, fs::metadata(&path).unwrap().len());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.lines().any(|line| line.trim_ascii_end() == foreign), "{text}");
    }
    append(&mut other);
    let readable = wholes(&path).into_iter().filter(|whole| *whole).count() as u64;
    // And the whole one of the other program.
    assert_eq!(readable, one.stats.lines_written + other.stats.lines_written + 1);
    assert_eq!((one.stats.torn_closed, one.stats.lines_lost), (2, 0));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_torn_end_that_another_left_is_closed_before_the_next_line() {
    let folder = folder("found");
    let path = folder.join("a");
    let (mut one, other) = (open(&path), open(&path));
    append(&mut one);
    (&*other.file).write_all(b"{\"torn").unwrap();
    one.looks.soon();
    append(&mut one);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().nth(1), Some("{\"torn"), "{text}");
    assert_eq!(wholes(&path), [true, false, true]);
    assert_eq!((one.stats.torn_closed, one.stats.lines_written), (1, 2));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_line_that_stays_joined_to_a_torn_one_counts_as_lost() {
    let folder = folder("stays");
    let path = folder.join("a");
    let (mut one, other) = (open(&path), open(&path));
    one.others = true;
    append(&mut one);
    (&*other.file).write_all(b"{\"torn").unwrap();
    // After the file was moved, it cannot be opened to end the part; the new file is not ours.
    let moved = folder.join("b");
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "x".repeat(5000)).unwrap();
    let mut lines = [Line::new(), Line::new()];
    for line in &mut lines {
        line.begin(one.looks.at(), "", "e");
    }
    one.append(&mut lines, one.looks.at(), false, "");
    assert_eq!(wholes(&moved), [true, false, true]);
    assert_eq!((one.stats.lines_written, one.stats.lines_lost), (2, 1));
    assert_eq!(fs::read_to_string(&path).unwrap(), "x".repeat(5000));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_others_emptied_is_written_to_from_its_beginning() {
    let folder = folder("emptied");
    let path = folder.join("a");
    let mut audit = open(&path);
    audit.others = true;
    append(&mut audit);
    fs::write(&path, "").unwrap();
    append(&mut audit);
    append(&mut audit);
    assert_eq!(wholes(&path), [true, true]);
    assert_eq!((audit.stats.lines_written, audit.stats.lines_lost), (3, 0));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_part_that_is_gone_is_not_ended() {
    let folder = folder("gone");
    let path = folder.join("a");
    let mut audit = open(&path);
    append(&mut audit);
    let len = fs::metadata(&path).unwrap().len();
    assert!(audit.end_part_at(len + 1).is_err(), "somebody cut the file");
    assert!(audit.end_part_at(0).is_err());
    assert_eq!(wholes(&path), [true]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn nothing_is_written_without_the_lock_that_was_given_back() {
    let folder = folder("lost");
    let path = folder.join("a");
    let mut audit = open(&path);
    append(&mut audit);
    let other = Held(File::open(&path).unwrap());
    lock::unlock(&audit.file);
    assert!(lock::try_exclusive(&other).unwrap());
    tear(&mut audit, b"");
    assert_eq!(audit.share, Share::Lost);
    append(&mut audit);
    assert_eq!((audit.stats.lines_written, audit.stats.lines_lost), (1, 1));
    drop(other);
    append(&mut audit);
    // The line, and the report of the lost one.
    assert_eq!((audit.stats.lines_written, audit.share), (3, Share::Held));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn of_two_lines_the_first_may_arrive_alone() {
    let path = std::env::temp_dir().join(format!("aa-two-{}.jsonl", std::process::id()));
    let mut audit = open(&path);
    append(&mut audit);
    // The disk took this many bytes of `one` and `two`.
    let (one, two) = (b"one: the longer one\n".as_slice(), b"two\n".as_slice());
    let first = std::str::from_utf8(one).unwrap();
    for (written, arrived, kept) in
        [(3, 0, ""), (5, 0, ""), (one.len() - 1, 0, ""), (one.len(), 1, first), (22, 1, first)]
    {
        let before = fs::read_to_string(&path).unwrap();
        (&*audit.file).write_all(&[one, two].concat()[..written]).unwrap();
        let (count, outcome) = audit.took(written, &[one, two]).unwrap();
        assert_eq!((count, outcome.is_err()), (arrived, true), "{written}");
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{before}{kept}"), "{written}");
        assert!(!audit.torn);
    }
    drop(audit);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_moment_s_lines_are_numbered_and_counted_each() {
    let path = std::env::temp_dir().join(format!("aa-both-{}.jsonl", std::process::id()));
    let mut audit = open(&path);
    let mut lines = [Line::new(), Line::new()];
    for line in &mut lines {
        line.begin(Stamp::now(), "", "e");
    }
    // Another writer left a torn end, and another is changing the file: the newline comes with
    // the lines.
    (&*audit.file).write_all(b"torn").unwrap();
    (audit.torn, audit.size) = (true, 4);
    let changing = Changing::begin(&path, Duration::ZERO).unwrap();
    audit.append(&mut lines, Stamp::now(), true, "");
    drop(changing);
    assert!(!audit.torn);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.len() as u64, audit.size);
    let numbers: Vec<_> =
        text.lines().skip(1).filter_map(|line| line.split(':').next_back()).collect();
    assert_eq!(numbers, ["1}", "2}"], "{text}");
    assert_eq!((audit.stats.lines_written, audit.stats.lines_lost), (2, 0));
    assert_eq!(audit.stats.torn_closed, 1);
    drop(audit);
    fs::remove_file(&path).unwrap();
}
