//! What is refused before it begins, and what is never shown.

use std::time::Duration;

use automation_assistant_queue::{Error, Job, JobQueue, Limits, Stop, Worker};
use serde_json::json;

use crate::support::bench::{Bench, echo};

#[test]
fn what_cannot_work_is_refused_before_it_begins() {
    let bench = Bench::new(1, Limits::new(), echo);
    let stop = Stop::new();
    let rows = [
        Worker::new(&bench.queue, &bench.manager),
        Worker::new(&bench.queue, &bench.manager).helper("00000000".parse().unwrap()),
        bench.worker().lease(Duration::from_millis(99)),
        bench.worker().lease(Duration::from_secs(86_401)),
        bench.worker().name(""),
        bench.worker().name("-"),
        bench.worker().name("a\nb"),
        bench.worker().poll(Duration::ZERO),
    ];
    for worker in rows {
        let shown = format!("{worker:?}");
        assert!(matches!(worker.run(&stop), Err(Error::InvalidConfig(_))), "{shown}");
    }
    let no = |job: Job| matches!(bench.queue.push(job), Err(Error::InvalidJob(_)));
    assert!(no(Job::new(" ")));
    assert!(no(Job::new("x").key("")) && no(Job::new("x").key("k".repeat(257))));
    assert!(no(Job::new("x").tool("a b")) && no(Job::new("x").timeout(Duration::ZERO)));
    assert!(no(Job::new("x".repeat(8 << 20))));
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    assert!(no(Job::new("x").context("deep", deep)));
    assert!(JobQueue::open_with("/tmp", Limits::new().max_jobs(0)).is_err());
}

#[test]
fn nothing_shows_a_prompt_or_an_answer() {
    let secret = "hunter2";
    let bench = Bench::new(1, Limits::new(), echo);
    let job = Job::new(secret).context("k", secret).system_prompt(secret);
    assert!(!format!("{job:?}").contains(secret));
    let id = bench.queue.push(job).unwrap();
    bench.run_all();
    let outcome = bench.queue.result(id).unwrap().unwrap();
    assert_eq!(outcome.result.as_deref(), Some(secret));
    for shown in [
        format!("{outcome:?}"),
        format!("{:?}", bench.queue),
        format!("{:?}", bench.queue.status(id).unwrap()),
        format!("{:?}", bench.queue.stats().unwrap()),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
