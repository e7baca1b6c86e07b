//! What no disk of a test machine does by itself: writes that arrive in part.
#![allow(clippy::unwrap_used)]

use super::*;

fn open(path: &Path) -> AuditFile {
    AuditFile::open(path, "20251122_164640".to_owned(), Options::default()).unwrap().file
}

fn append(audit: &mut AuditFile) {
    let mut line = Line::new();
    line.begin(Stamp::now(), "", "e");
    audit.append(&mut line, Stamp::now(), false, "");
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
