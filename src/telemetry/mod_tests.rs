//! Telemetry with events that no helper would make: odd clocks.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// Of 2025; only differences matter here.
const NOW: Duration = Duration::from_secs(1_763_830_000);

fn line_at(telemetry: &Telemetry, since_1970: Duration) {
    let mut event = Event::new(EventKind::Admission);
    event.at = UNIX_EPOCH + since_1970;
    telemetry.on_event(&event);
}

#[test]
fn a_clock_that_jumps_is_written_as_it_is_and_stops_nothing() {
    let path = std::env::temp_dir().join(format!("aa-clock-{}.jsonl", std::process::id()));
    let telemetry = Telemetry::to_file(&path).unwrap();
    let jumps = [NOW, NOW - Duration::from_secs(86_400), Duration::ZERO, NOW * 4, NOW];
    for at in jumps {
        line_at(&telemetry, at);
    }
    // The file is looked for at each line that comes a second later, or earlier, than the
    // last look: a clock that was set back does not put that off.
    std::fs::remove_file(&path).unwrap();
    line_at(&telemetry, NOW - Duration::from_secs(3600));
    assert_eq!(telemetry.stats().reopened, 1);
    line_at(&telemetry, NOW - Duration::from_secs(3600) + Duration::from_millis(10));
    std::fs::remove_file(&path).unwrap();
    line_at(&telemetry, NOW - Duration::from_secs(3600) + Duration::from_millis(20));
    assert_eq!(telemetry.stats().reopened, 1, "not at each line");
    line_at(&telemetry, NOW);
    assert_eq!(telemetry.stats().reopened, 2);
    let stats = telemetry.stats();
    drop(telemetry);
    assert_eq!((stats.lines_lost, stats.last_error), (0, None));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"timestamp\":1763830000.000000,"), "{text}");
    assert_eq!(text.lines().count(), 3, "the line that reopened, the news of it, the end");
    std::fs::remove_file(&path).unwrap();
}
