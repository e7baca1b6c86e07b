//! Lines that come bit by bit, and filters.

use std::time::{Duration, UNIX_EPOCH};

use automation_assistant::Debrief;
use automation_assistant::debrief::{LineFilter, LiveDebrief};
use serde_json::{Value, json};

use super::data;

fn whole(bytes: &[u8]) -> Value {
    Debrief::from_reader(bytes).unwrap().to_json()
}

fn filtered(text: &str, filter: LineFilter) -> Debrief {
    let mut live = LiveDebrief::new(filter);
    live.add(text.as_bytes());
    live.report()
}

#[test]
fn bits_of_any_size_give_the_report_of_the_whole() {
    let mut file = std::fs::read(data("ours.jsonl")).unwrap();
    file.extend(vec![b'x'; 200_000]);
    file.extend(b"\n\0\0{\"run_id\":\"z\",\"event\":\"backend_call\"}\0torn");
    for step in [1, 7, 1000, 65_536, 65_537, usize::MAX] {
        let mut live = LiveDebrief::default();
        let mut added = 0;
        for (n, bytes) in file.chunks(step).enumerate() {
            live.add(bytes);
            added += bytes.len();
            if n % 20_011 == 0 {
                assert_eq!(live.report().to_json(), whole(&file[..added]), "{step}");
            }
        }
        assert_eq!(live.report().to_json(), whole(&file), "{step}");
        // A report changes nothing.
        assert_eq!(live.report().to_json(), whole(&file), "{step}");
    }
    assert_eq!(LiveDebrief::default().report().to_json(), whole(b""));
}

/// Three runs of two backends, a call an hour.
fn hours() -> String {
    let call = |hour: u64| {
        let line = json!({
            "timestamp": hour as f64 * 3600.0, "run_id": format!("r{}", hour / 8), "seq": hour % 8 + 1,
            "event": "backend_call", "backend": (["one", "two"][hour as usize % 2]), "success": true,
        });
        format!("{line}\n")
    };
    (0..24).map(call).collect::<String>() + "no json\n{\"foreign\":1}\n"
}

#[test]
fn a_filter_takes_in_what_meets_all_its_conditions() {
    let at = |hour: u64| UNIX_EPOCH + Duration::from_secs(hour * 3600);
    let new = LineFilter::new;
    for (filter, events, runs) in [
        (new(), 24, 3),
        (new().since(at(20)), 4, 1),
        (new().until(at(20)), 20, 3),
        (new().since(at(7)).until(at(9)), 2, 2),
        (new().run("r1"), 8, 1),
        (new().run("r"), 0, 0),
        (new().backend("two"), 12, 3),
        (new().backend("two").run("r2").since(at(20)), 2, 1),
        (new().since(at(24)), 0, 0),
    ] {
        let found = filtered(&hours(), filter.clone());
        assert_eq!((found.total_events(), found.total_runs()), (events, runs), "{filter:?}");
        let json = found.to_json();
        assert_eq!((&json["lines"]["broken"], &json["lines"]["foreign"]), (&json!(1), &json!(1)));
        // Lines that were left out are not missed.
        assert_eq!(json["runs"]["missing_lines"], 0, "{filter:?}");
    }
    let two = filtered(&hours(), new().backend("two"));
    assert_eq!(two.backends().iter().map(|stats| stats.name.as_str()).collect::<Vec<_>>(), ["two"]);
}

#[test]
fn lines_without_a_time_are_of_no_span() {
    let line = "{\"run_id\":\"r\",\"event\":\"backend_call\"}\n";
    let since = LineFilter::new().since(UNIX_EPOCH);
    assert_eq!(filtered(line, since).total_events(), 0);
    assert_eq!(filtered(line, LineFilter::new()).total_events(), 1);
}
