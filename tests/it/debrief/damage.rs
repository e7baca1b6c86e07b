//! Damaged audit files: what can still be read counts, and the report shows the damage.

use automation_assistant::Debrief;
use serde_json::{Value, json};

/// Longer than the reader's buffer, and so than any line that it takes as one.
const LONG: usize = 70_000;

fn good(run: &str) -> String {
    let line = json!({"run_id": run, "event": "backend_call", "backend": "b", "success": true});
    line.to_string()
}

fn lines_of(bytes: &[u8]) -> (u64, u64, Value) {
    let debrief = Debrief::from_reader(bytes).unwrap();
    let json = debrief.to_json();
    (debrief.total_events(), debrief.total_runs(), json["lines"].clone())
}

#[test]
fn complete_lines_of_a_damaged_file_count_and_the_damage_is_reported() {
    let (a, b) = (&good("a"), &good("b"));
    let nul = |count: usize| "\0".repeat(count);
    let number = |text: &str| {
        format!(r#"{{"run_id":"a","event":"backend_call","latency_ms":{text},"success":true}}"#)
    };
    let text = |error: &str| {
        format!(r#"{{"run_id":"a","event":"backend_call","success":false,"error":"{error}"}}"#)
    };
    // Each with: events, runs, lines broken, lines mended, NUL bytes, whether the end is torn.
    for (name, bytes, events, runs, broken, mended, nuls, torn) in [
        ("nothing", String::new(), 0, 0, 0, 0, 0, false),
        ("whole", format!("{a}\n{b}\n"), 2, 2, 0, 0, 0, false),
        // NUL bytes, as a power loss leaves them in place of what was not yet on the disk.
        ("NUL before", format!("\0\0\0{a}\n"), 1, 1, 0, 0, 3, false),
        ("NUL before the second", format!("{a}\n\0{b}\n"), 2, 2, 0, 0, 1, false),
        ("NUL behind", format!("{a}\0\0\n{b}\n"), 2, 2, 0, 0, 2, false),
        ("NUL in place of the newline", format!("{a}\0{b}\n"), 2, 2, 0, 0, 1, false),
        ("NUL at the end", format!("{a}\n{}", nul(9)), 1, 1, 0, 0, 9, false),
        ("NUL alone", nul(5), 0, 0, 0, 0, 5, false),
        ("NUL after a torn line", format!("{}\0\0{b}\n", &a[..30]), 1, 1, 1, 0, 2, false),
        ("NUL before a torn end", format!("{a}\n\0{}", &b[..30]), 1, 1, 1, 0, 1, true),
        ("many NUL before", format!("{}{a}\n", nul(LONG)), 1, 1, 0, 0, LONG, false),
        ("many NUL at the end", format!("{a}\n{}", nul(LONG)), 1, 1, 0, 0, LONG, false),
        ("many NUL between", format!("{a}{}{b}\n", nul(3 * LONG)), 2, 2, 0, 0, 3 * LONG, false),
        (
            "many NUL twice",
            format!("{}{a}\n{}{b}\n", nul(LONG), nul(LONG)),
            2,
            2,
            0,
            0,
            2 * LONG,
            false,
        ),
        // Writers that did not see each other's newline, or a torn end.
        ("two objects", format!("{a}{b}\n"), 2, 2, 0, 2, 0, false),
        ("three objects and blanks", format!(" {a} {b}\t{a}\r\n"), 3, 2, 0, 3, 0, false),
        ("two objects, no newline", format!("{a}{b}"), 2, 2, 0, 2, 0, false),
        ("an object and a torn one", format!("{a}{}\n", &b[..30]), 1, 1, 1, 1, 0, false),
        ("a torn object and one", format!("{}{b}\n", &a[..30]), 1, 1, 1, 1, 0, false),
        ("one, torn, one", format!("{a}{}{b}\n", &a[..9]), 2, 2, 1, 2, 0, false),
        ("a byte order mark between", format!("{a}\u{feff}{b}\n"), 2, 2, 0, 2, 0, false),
        // Written by Python's json module, and no JSON.
        ("NaN", number("NaN") + "\n", 1, 1, 0, 1, 0, false),
        ("infinite", number("Infinity") + "\n", 1, 1, 0, 1, 0, false),
        ("infinite the other way", number("-Infinity") + "\n", 1, 1, 0, 1, 0, false),
        ("NaN in a list", number("[1,NaN,{\"a\":-Infinity}]") + "\n", 1, 1, 0, 1, 0, false),
        ("a number beyond all", number("1e999") + "\n", 1, 1, 0, 1, 0, false),
        ("half a pair", text("\\ud83d") + "\n", 1, 1, 0, 1, 0, false),
        ("the other half", text("\\udce4 x") + "\n", 1, 1, 0, 1, 0, false),
        ("raw controls", text("\u{1b}[31m\tred") + "\n", 1, 1, 0, 1, 0, false),
        // No lines of ours: nothing is made up.
        ("no word of JSON", number("nan") + "\n", 0, 0, 1, 0, 0, false),
        ("foreign objects", "{}{\"a\":1}\n".to_owned(), 0, 0, 1, 0, 0, false),
        ("a foreign object that is torn", "{\"a\":{\"b\":1}\n".to_owned(), 0, 0, 1, 0, 0, false),
        ("no objects", "[1][2] x\n".to_owned(), 0, 0, 1, 0, 0, false),
    ] {
        let (found_events, found_runs, lines) = lines_of(bytes.as_bytes());
        assert_eq!((found_events, found_runs), (events, runs), "{name}: {lines}");
        let keys = ["broken", "mended", "nul_bytes", "torn_end", "too_long"];
        let expected = json!([broken, mended, nuls, torn, 0]);
        assert_eq!(Value::from_iter(keys.map(|key| lines[key].clone())), expected, "{name}");
    }
}

#[test]
fn bytes_that_are_no_text_cost_no_line() {
    let line = [&br#"{"run_id":"a","event":"backend_call","error":"f"#[..], b"\xfcr\xe9\"}\n"];
    let (events, _, lines) = lines_of(&line.concat());
    assert_eq!((events, &lines["mended"], &lines["broken"]), (1, &json!(1), &json!(0)));
    let text = Debrief::from_reader(&line.concat()[..]).unwrap().to_text();
    assert!(text.contains("f\u{fffd}r\u{fffd}"), "{text}");
}

#[test]
fn a_line_that_is_too_long_costs_no_line_behind_it() {
    let (a, long) = (good("a"), "x".repeat(LONG));
    for (text, events, nuls) in [
        (format!("{long}\n{a}\n"), 1, 0),
        (format!("{long}\0\0{a}\n"), 1, 2),
        (format!("{long}\0{long}\0{a}\n{a}\n"), 2, 2),
        (format!("\0{long}\n{a}\n"), 1, 1),
        (format!("{long}\0"), 0, 1),
    ] {
        let (found, _, lines) = lines_of(text.as_bytes());
        assert_eq!((found, &lines["nul_bytes"]), (events, &json!(nuls)), "{lines}");
        assert_eq!(lines["too_long"], text.matches(&long).count(), "{lines}");
        assert_eq!(lines["broken"], 0, "{lines}");
    }
}

#[test]
fn the_report_names_damage_where_there_is_any() {
    let (a, b) = (good("a"), good("b"));
    let damaged = Debrief::from_reader(format!("\0\0{a}{b}\n").as_bytes()).unwrap();
    for text in [damaged.to_text(), damaged.to_markdown()] {
        assert!(text.contains("Lines read in spite of damage: 2"), "{text}");
        assert!(text.contains("NUL bytes: 2 (a power loss leaves them)"), "{text}");
    }
    let whole = Debrief::from_reader(a.as_bytes()).unwrap().to_text();
    assert!(!whole.contains("damage") && !whole.contains("NUL"), "{whole}");
}
