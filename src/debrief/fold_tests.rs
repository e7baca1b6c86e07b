//! Bounds of what is kept of a file.

use super::super::tallies::WAYS_MAX;
use super::*;

fn counts(lines: &[String]) -> Counts {
    let (mut counts, mut record) = (Counts::default(), Record::default());
    for line in lines {
        counts.add(FoundLine::Line(line.as_bytes()), &mut record);
    }
    counts.finish();
    counts
}

fn calls(backend: &Backend) -> u64 {
    backend.ends.iter().map(|ends| ends.total()).sum()
}

fn call(backend: &str) -> String {
    format!("{{\"run_id\":\"r\",\"event\":\"backend_call\",\"backend\":\"{backend}\"}}")
}

#[test]
fn long_names_are_not_kept_as_they_stand() {
    let (fits, long) = ("x".repeat(NAME_BYTES_MAX), "y".repeat(NAME_BYTES_MAX + 1));
    let counts = counts(&[call(&fits), call(&long), call(&fits), call(&long)]);
    let kept: Vec<_> = counts.backends.iter().map(|backend| backend.raw.is_some()).collect();
    assert_eq!(kept, [true, false]);
    assert!(counts.backends.iter().all(|backend| calls(backend) == 2));
}

#[test]
fn a_backend_without_a_name_is_no_other_one() {
    let long = "y".repeat(NAME_BYTES_MAX + 1);
    let mut lines = vec![call(&long), call("")];
    lines.extend((0..BACKENDS_MAX).map(|n| call(&format!("backend {n}"))));
    lines.push(call(""));
    let counts = counts(&lines);
    let named = |name| counts.backends.iter().find(|backend| backend.name == name);
    assert_eq!(named(NO_BACKEND).map(calls), Some(2));
    assert_eq!(named(OTHERS).map(calls), Some(2));
    assert_eq!(counts.backends.len(), BACKENDS_MAX + 1);
}

#[test]
fn ways_and_kinds_beyond_their_bounds_are_counted_together_or_not_at_all() {
    let fallback = |n: usize| {
        format!("{{\"run_id\":\"r\",\"event\":\"fallback\",\"from\":\"{n}\",\"to\":\"b\"}}")
    };
    let mut lines: Vec<_> = (0..WAYS_MAX + 2).map(fallback).collect();
    lines.push(fallback(0));
    let kind = |n: usize| {
        format!(
            "{{\"run_id\":\"r\",\"event\":\"backend_call\",\"success\":false,\"error_kind\":\"{n}\"}}"
        )
    };
    lines.extend((0..KINDS_MAX + 2).map(kind));
    lines.push(kind(0));
    let counts = counts(&lines);
    let ways = &counts.fallbacks.list;
    assert_eq!(ways.len(), WAYS_MAX + 1);
    assert_eq!((ways[0].1, ways[WAYS_MAX].1), (2, 2));
    assert_eq!(ways[WAYS_MAX].0[0], OTHERS);
    assert_eq!((counts.kinds.len(), counts.kinds[0].events), (KINDS_MAX, 2));
}
