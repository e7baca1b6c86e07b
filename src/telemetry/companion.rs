//! Events of companions: crates that build on this one and report into the same audit file.

use std::slice;
use std::time::SystemTime;

use super::Telemetry;
use super::line::{Line, Stamp};
use crate::error::Error;
use crate::event::Fact;

/// Longest name of a companion's event, in bytes.
const EVENT_BYTES_MAX: usize = 48;
/// Longest name of a field, in bytes.
const FIELD_BYTES_MAX: usize = 32;
/// Most fields of an event.
const FIELDS_MAX: usize = 12;
/// Fields that each line has.
const OWN_FIELDS: [&str; 4] = ["timestamp", "run_id", "event", "seq"];

impl Telemetry {
    /// Writes an event of a companion crate as one line of this run. The debrief counts such
    /// events by name and does not interpret them.
    ///
    /// The name is of the form `companion.event`, as in `queue.done`: lower-case letters, digits
    /// and `_`, one dot between them, at most 48 bytes. Names of fields consist of the same
    /// characters, at most 32 bytes; there are at most 12 fields, and a text is cut to 512 bytes.
    /// Texts must hold no prompt, reply or key. A line that cannot be written is counted as lost
    /// ([`stats`](Self::stats)).
    ///
    /// ```
    /// # fn main() -> Result<(), automation_assistant::Error> {
    /// use automation_assistant::Telemetry;
    /// use automation_assistant::event::Fact;
    ///
    /// # let folder = std::env::temp_dir().join(format!("aa-companion-{}", std::process::id()));
    /// let telemetry = Telemetry::to_file(folder.join("audit.jsonl"))?;
    /// telemetry.report("queue.pushed", &[("jobs", Fact::Count(3))])?;
    /// # drop(telemetry);
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for a name that is not of this form, a field that is there twice,
    /// or too many fields; nothing is written then.
    pub fn report(&self, event: &str, facts: &[(&str, Fact<'_>)]) -> Result<(), Error> {
        let invalid = |why: &str| Err(Error::InvalidConfig(why.to_owned()));
        let named = event
            .split_once('.')
            .is_some_and(|(companion, name)| is_plain(companion) && is_plain(name));
        if !named || event.len() > EVENT_BYTES_MAX {
            return invalid("an event's name is like queue.done: a-z, 0-9, _ and one dot");
        }
        let fits = |name: &str| name.len() <= FIELD_BYTES_MAX && !OWN_FIELDS.contains(&name);
        if !facts.iter().all(|(name, _)| is_plain(name) && fits(name)) {
            return invalid("a field's name is of a-z, 0-9 and _, and none that each line has");
        }
        if facts.len() > FIELDS_MAX {
            return invalid("an event has at most 12 fields");
        }
        if (1..facts.len()).any(|n| facts[..n].iter().any(|(name, _)| *name == facts[n].0)) {
            return invalid("each field of an event has another name");
        }
        let at = Stamp::new(SystemTime::now());
        let mut line = Line::new();
        line.begin(at, &self.0.run_field, event);
        for &(name, fact) in facts {
            line.fact(name, fact);
        }
        self.0.append(slice::from_mut(&mut line), at, false);
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::debrief::Debrief;

    #[test]
    fn a_companions_events_are_lines_like_others_and_counted_by_name() {
        let folder = std::env::temp_dir().join(format!("aa-report-{}", std::process::id()));
        let path = folder.join("audit.jsonl");
        let telemetry = Telemetry::to_file(&path).unwrap();
        let long = "é\"\n".repeat(400);
        let facts =
            [("jobs", Fact::Count(3)), ("p95", Fact::Number(0.5)), ("why", Fact::Text(&long))];
        telemetry.report("queue.pushed", &facts).unwrap();
        telemetry.report("queue.pushed", &[]).unwrap();
        telemetry.report("queue.done", &[("state", Fact::Text("completed"))]).unwrap();
        let lost = telemetry.stats().lines_lost;
        drop(telemetry);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!((lines.len(), lost), (4, 0), "and the run's end");
        assert_eq!((&lines[0]["event"], &lines[0]["jobs"]), (&"queue.pushed".into(), &3.into()));
        assert!(lines[0]["why"].as_str().unwrap().len() < 600);
        let seqs: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted_by(|a, b| a + 1 == *b), "{seqs:?}");

        let debrief = Debrief::from_reader(text.as_bytes()).unwrap();
        assert_eq!(debrief.companion_events(), [("queue.pushed", 2), ("queue.done", 1)]);
        assert_eq!(debrief.total_events(), 0);
        assert_eq!(debrief.to_json()["other_events"]["queue.pushed"], 2);
        for report in [debrief.to_string(), debrief.to_markdown()] {
            assert!(report.contains("queue.done: once"), "{report}");
        }
    }

    #[test]
    fn names_beyond_the_form_are_refused_and_nothing_is_written() {
        let folder = std::env::temp_dir().join(format!("aa-report-no-{}", std::process::id()));
        let telemetry = Telemetry::to_file(folder.join("audit.jsonl")).unwrap();
        let long = format!("queue.{}", "x".repeat(43));
        for name in ["", "queue", ".done", "queue.", "a.b.c", "Queue.done", "q d.e", "q.\"", &long]
        {
            assert!(telemetry.report(name, &[]).is_err(), "{name}");
        }
        for field in ["", "event", "seq", "a b", "a\"b", "É", &"x".repeat(33)] {
            let refused = telemetry.report("queue.done", &[(field, Fact::Count(1))]);
            assert!(refused.is_err(), "{field}");
        }
        assert!(telemetry.report("queue.done", &[("n", Fact::Count(1)); 2]).is_err());
        let names: Vec<_> = (0..13).map(|n| format!("n{n}")).collect();
        let facts: Vec<_> = names.iter().map(|name| (name.as_str(), Fact::Count(1))).collect();
        assert!(telemetry.report("queue.done", &facts).is_err());
        assert_eq!(telemetry.stats().lines_written, 0);
        drop(telemetry);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
