//! Audit files: any bytes give a report, and the same one however they are read.
#![no_main]

use std::io::Read;

use automation_assistant::Debrief;
use automation_assistant::debrief::Health;

/// A reader that gives a few bytes at a time.
struct Sips<'a>(&'a [u8]);

impl Read for Sips<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let amount = buffer.len().min(7);
        self.0.read(&mut buffer[..amount])
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let debrief = Debrief::from_reader(input).expect("reading from memory cannot fail");
    assert_eq!(debrief.total_events(), debrief.success_count() + debrief.error_count());
    assert!((0.0..=1.0).contains(&debrief.failure_rate()));
    assert!((0.0..=1.0).contains(&debrief.stability_score()));
    assert_eq!(debrief.health(), Health::from_failure_rate(debrief.failure_rate()));
    let calls: u64 = debrief.backends().iter().map(|backend| backend.calls).sum();
    assert!(calls <= debrief.total_events());
    assert!(!debrief.to_string().is_empty() && !debrief.to_markdown().is_empty());
    let sipped = Debrief::from_reader(Sips(input)).expect("reading from memory cannot fail");
    assert_eq!(sipped.to_json(), debrief.to_json());
});
