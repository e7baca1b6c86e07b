//! Records against the golden files: what this version writes, and what it must read.

use std::time::Duration;

use automation_assistant::{ErrorKind, Priority, Role, TaskError, Usage};
use serde_json::json;

use crate::clock::from_ms;
use crate::id::JobId;
use crate::job::Job;
use crate::outcome::{JobError, JobOutcome};
use crate::record::{read_job, write_job};
use crate::state::JobState;

const AT: u64 = 1_764_106_200_123;

fn id() -> JobId {
    "019abcdef01200112233445566778899".parse().unwrap()
}

fn full_job() -> Job {
    Job::new("What is on the pictures?\nBe brief. \u{1f600}")
        .context("battery_percent", 12)
        .system_prompt("You are terse.")
        .turn(Role::User, "Hello.")
        .turn(Role::Assistant, "Hello.")
        .custom_param("temperature", 0.5)
        .reply_schema("answer", json!({"type": "object"}))
        .image_bytes("image/png", vec![0x89, b'P', b'N', b'G'])
        .image_url("https://example.com/cat.jpg")
        .priority(Priority::High)
        .timeout(Duration::from_secs(20))
        .deadline(from_ms(AT + 60_000))
        .max_retries(2)
        .tool("device_battery")
        .max_deliveries(3)
        .key("pictures-7")
}

fn full_outcome() -> JobOutcome {
    let mut outcome = JobOutcome::without_result(id(), JobState::Completed, None);
    outcome.key = Some("pictures-7".into());
    outcome.result = Some("A cat.".into());
    outcome.model = Some("gpt-4o-mini".into());
    outcome.usage = Some(Usage::new(12, 3));
    outcome.finish_reason = Some("stop".into());
    outcome.calls = 1;
    outcome.attempt = 2;
    outcome.latency_ms = 512.5;
    outcome.worker = "phone-1".into();
    outcome.finished_at = from_ms(AT);
    outcome
}

fn failed_outcome() -> JobOutcome {
    let error = TaskError::new(ErrorKind::RateLimited, "slow down")
        .with_message("too fast")
        .with_status(429)
        .with_code("rate_limit_exceeded")
        .with_request_id("req_1")
        .with_partial("A c");
    let mut outcome =
        JobOutcome::without_result(id(), JobState::Failed, Some(JobError::from(&error)));
    outcome.attempt = 1;
    outcome.worker = "phone-1".into();
    outcome.finished_at = from_ms(AT);
    outcome
}

/// Compares with a file; `AAQ_GOLDEN=write` writes it anew.
fn same(name: &str, record: &[u8]) {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let value: serde_json::Value = serde_json::from_slice(record).unwrap();
    let pretty = format!("{value:#}\n");
    if std::env::var("AAQ_GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::write(&path, &pretty).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), pretty, "{name}");
}

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

#[test]
fn records_are_written_as_the_golden_files_have_them() {
    same("job-v1-full", &write_job(id(), AT, &full_job()));
    same("job-v1-small", &write_job(id(), AT, &Job::new("hello")));
    same("outcome-v1-completed", &full_outcome().write());
    same("outcome-v1-failed", &failed_outcome().write());
    let canceled = JobOutcome {
        finished_at: from_ms(AT),
        ..JobOutcome::without_result(id(), JobState::Canceled, None)
    };
    same("outcome-v1-canceled", &canceled.write());
}

#[test]
fn golden_files_are_read_as_what_was_written() {
    assert_eq!(read_job(&golden("job-v1-full")).unwrap(), full_job());
    assert_eq!(read_job(&golden("job-v1-small")).unwrap(), Job::new("hello"));
    assert_eq!(JobOutcome::read(&golden("outcome-v1-completed")).unwrap(), full_outcome());
    assert_eq!(JobOutcome::read(&golden("outcome-v1-failed")).unwrap(), failed_outcome());
}

#[test]
fn a_timeout_is_kept_in_milliseconds_and_never_none() {
    let ms = Duration::from_millis;
    for (timeout, kept) in [
        (Duration::from_nanos(1), ms(1)),
        (ms(1), ms(1)),
        (Duration::from_micros(1_001), ms(2)),
        (Duration::MAX, ms(u64::MAX)),
    ] {
        let read = read_job(&write_job(id(), AT, &Job::new("x").timeout(timeout))).unwrap();
        assert_eq!(read, Job::new("x").timeout(kept), "{timeout:?}");
    }
}

#[test]
fn members_that_a_later_version_adds_are_passed_over() {
    let job = read_job(&golden("job-v1-of-a-later-version")).unwrap();
    assert_eq!(job, Job::new("hello").key("k"));
}

#[test]
fn what_is_no_record_is_refused_and_not_quoted() {
    let secret = "hunter2";
    let wrap = |data: serde_json::Value| {
        json!({"specversion": "1.0", "id": "x", "source": "s",
               "type": "automation-assistant.job.v1", "data": data})
    };
    let rows = [
        json!(secret),
        json!({"prompt": secret}),
        json!({"specversion": "2.0", "type": "automation-assistant.job.v1", "data": {"prompt": secret}}),
        json!({"specversion": "1.0", "type": "automation-assistant.job.v2", "data": {"prompt": secret}}),
        json!({"specversion": "1.0", "type": "automation-assistant.job.v1"}),
        wrap(json!({})),
        wrap(json!({"prompt": ""})),
        wrap(json!({"prompt": [secret]})),
        wrap(json!({"prompt": "x", "context": secret})),
        wrap(json!({"prompt": "x", "turns": [{"role": secret, "text": "x"}]})),
        wrap(json!({"prompt": "x", "schema": secret})),
        wrap(json!({"prompt": "x", "images": [{"media_type": "image/png", "data": secret}]})),
        wrap(json!({"prompt": "x", "priority": secret})),
        wrap(json!({"prompt": "x", "timeout_ms": -1})),
        wrap(json!({"prompt": "x", "deadline": secret})),
        wrap(json!({"prompt": "x", "tools": [secret, "bad name"]})),
        wrap(json!({"prompt": "x", "key": ""})),
    ];
    for row in rows {
        let why = read_job(row.to_string().as_bytes()).unwrap_err();
        assert!(!why.contains(secret), "{why}");
    }
    assert!(read_job(b"{\"hunter2").unwrap_err().contains("not JSON"));
    // Deeper than serde reads.
    for (levels, why) in [(127, "no object"), (128, "nests too deep"), (200, "nests too deep")] {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let error = read_job(deep.as_bytes()).unwrap_err();
        assert!(error.contains(why), "{levels}: {error}");
    }
    assert!(JobOutcome::read(&golden("job-v1-small")).is_err());
}
