//! What no disk of a test machine does by itself: writes that arrive in part.
#![allow(clippy::unwrap_used)]

use super::*;

fn open(path: &Path) -> AuditFile {
    AuditFile::open(path, "20251122_164640".to_owned(), Options::default()).unwrap().file
}

fn append(audit: &mut AuditFile) {
    let mut line = Line::new();
    line.begin(Stamp::now(), "", "e");
    audit.append(&mut [line], Stamp::now(), false, "");
}

/// Whole lines and others, in their order.
fn wholes(path: &Path) -> Vec<bool> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).collect()
}

#[test]
fn a_part_of_a_line_is_taken_back_or_closed_where_others_write() {
    let path = std::env::temp_dir().join(format!("aa-part-{}.jsonl", std::process::id()));
    let part = |audit: &mut AuditFile| {
        (&audit.file).write_all(b"{\"par").unwrap();
        audit.take_back(5);
    };
    let mut audit = open(&path);
    append(&mut audit);
    part(&mut audit);
    append(&mut audit);
    assert_eq!(wholes(&path), [true, true], "alone, it takes the part back");
    let other = open(&path);
    part(&mut audit);
    assert!(audit.torn);
    append(&mut audit);
    assert_eq!(wholes(&path), [true, true, false, true], "with another, it closes the line");
    drop(other);
    // The newline that was to close an older part went with the part taken back.
    (&audit.file).write_all(b"{\"par").unwrap();
    audit.torn = true;
    (&audit.file).write_all(b"\n{\"p").unwrap();
    audit.take_back(4);
    append(&mut audit);
    assert_eq!(wholes(&path), [true, true, false, true, false, true]);
    drop(audit);
    fs::remove_file(&path).unwrap();
}

#[test]
fn of_two_lines_the_first_may_arrive_alone() {
    let path = std::env::temp_dir().join(format!("aa-two-{}.jsonl", std::process::id()));
    let mut audit = open(&path);
    append(&mut audit);
    // The disk took so many bytes of `one` and `two`.
    let (one, two) = (b"one: the longer one\n".as_slice(), b"two\n".as_slice());
    let first = std::str::from_utf8(one).unwrap();
    for (written, arrived, kept) in
        [(3, 0, ""), (5, 0, ""), (one.len() - 1, 0, ""), (one.len(), 1, first), (22, 1, first)]
    {
        let before = fs::read_to_string(&path).unwrap();
        (&audit.file).write_all(&[one, two].concat()[..written]).unwrap();
        let (count, outcome) = audit.took(written, &[one, two]);
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
    audit.torn = true;
    audit.append(&mut lines, Stamp::now(), true, "");
    assert!(!audit.torn);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.len() as u64, audit.size);
    let numbers: Vec<_> =
        text.lines().skip(1).filter_map(|line| line.split(':').next_back()).collect();
    assert_eq!(numbers, ["1}", "2}"], "{text}");
    assert_eq!((audit.stats.lines_written, audit.stats.lines_lost), (2, 0));
    drop(audit);
    fs::remove_file(&path).unwrap();
}
