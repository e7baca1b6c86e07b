//! What every engine must do, run against each of them.

use std::time::{Duration, Instant};

use automation_assistant::Priority;

use crate::engine::{
    Cancelled, Delivery, End, Ended, Exchange, Exchanged, Hold, How, Purge, Recover, Renewed,
};
use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::limits::Limits;
use crate::outcome::{JobError, JobOutcome};
use crate::queue::JobQueue;
use crate::state::JobState;

/// Makes a queue of its own with these bounds.
pub(crate) type Make<'a> = &'a dyn Fn(Limits) -> JobQueue;

/// Long enough for anything; no test waits for it to pass.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(40);

/// The tests of this file for one engine, run by a function that has what it needs.
macro_rules! conformance {
    ($make:expr) => {
        conformance!($make;
            a_job_is_pushed_leased_and_recorded_once
            a_known_key_is_a_known_job
            a_batch_is_pushed_as_one_or_not_at_all
            high_goes_first_and_low_does_not_starve
            a_worker_gets_only_jobs_whose_tools_it_offers
            a_lapsed_lease_goes_to_another_and_the_first_is_fenced
            renewed_leases_do_not_lapse_celery_5935_bullmq_439
            a_dead_worker_shows_within_one_lease_docling_jobkit_102
            deliveries_are_counted_and_a_poison_job_is_buried
            uncounted_ends_do_not_bury
            a_job_waits_out_its_pause
            a_waiting_job_is_cancelled_at_once_and_a_leased_one_is_marked
            a_cancelled_job_that_comes_back_is_canceled
            an_end_said_twice_is_recorded_once
            results_go_by_number_bytes_and_age
            purges_leave_nothing_behind
            bookmarks_stay
            statistics_add_up
            reported_outcomes_are_not_reported_again
        );
    };
    ($make:expr; $($name:ident)*) => {
        $(#[test]
        fn $name() {
            $make(crate::conformance::$name);
        })*
    };
}
pub(crate) use conformance;

fn ask(worker: &str) -> Exchange<'_> {
    Exchange {
        worker,
        lease: LONG,
        ends: &[],
        held: &[],
        reported: &[],
        want: 0,
        tools: &[],
        recover: Recover::No,
        report: false,
    }
}

fn exchange(queue: &JobQueue, ask: &Exchange<'_>) -> Exchanged {
    queue.engine.exchange(ask).unwrap()
}

fn lease(queue: &JobQueue, worker: &str, want: usize) -> Vec<Delivery> {
    exchange(queue, &Exchange { want, ..ask(worker) }).jobs
}

/// Leases one job as soon as there is one; there must be one soon.
fn lease_soon(queue: &JobQueue, worker: &str) -> Delivery {
    let until = Instant::now() + LONG;
    loop {
        let mut jobs = lease(queue, worker, 1);
        if let Some(job) = jobs.pop() {
            return job;
        }
        assert!(Instant::now() < until, "no job came back");
        queue.engine.wait_for_work(Duration::from_millis(5));
    }
}

fn outcome(id: JobId, state: JobState, text: &str) -> Vec<u8> {
    let error = (state == JobState::Failed).then(|| JobError::new("server", text));
    let mut outcome = JobOutcome::without_result(id, state, error);
    outcome.result = (state == JobState::Completed).then(|| text.to_owned());
    outcome.write()
}

fn complete(hold: Hold) -> End {
    let record = outcome(hold.id, JobState::Completed, "done");
    End { hold, how: How::Outcome { state: JobState::Completed, record } }
}

fn end(queue: &JobQueue, worker: &str, end: End) -> Ended {
    exchange(queue, &Exchange { ends: &[end], ..ask(worker) }).ends[0]
}

fn retry(hold: Hold, delay: Duration, counts: bool) -> End {
    End { hold, how: How::Retry { reason: "it failed".into(), delay, counts } }
}

fn state(queue: &JobQueue, id: JobId) -> JobState {
    queue.status(id).unwrap().unwrap().state
}

pub(crate) fn a_job_is_pushed_leased_and_recorded_once(make: Make<'_>) {
    let queue = make(Limits::new());
    let id = queue.push(Job::new("do it").key("k")).unwrap();
    assert_eq!(state(&queue, id), JobState::Submitted);
    assert_eq!(queue.result(id).unwrap(), None);
    let job = lease(&queue, "w", 5).pop().unwrap();
    assert_eq!((job.hold, job.deliveries), (Hold { id, attempt: 1 }, 1));
    assert_eq!(job.key.as_deref(), Some("k"));
    assert_eq!(crate::record::read_job(&job.record).unwrap(), Job::new("do it").key("k"));
    assert_eq!(state(&queue, id), JobState::Working);
    assert!(lease(&queue, "v", 1).is_empty());
    assert_eq!(end(&queue, "w", complete(job.hold)), Ended::Recorded);
    let outcome = queue.wait(id, LONG).unwrap();
    assert_eq!((outcome.state, outcome.result.as_deref()), (JobState::Completed, Some("done")));
    assert!(lease(&queue, "w", 1).is_empty());
    let unknown = JobId::next();
    assert_eq!(queue.status(unknown).unwrap(), None);
    assert!(matches!(queue.result(unknown), Err(Error::UnknownJob(id)) if id == unknown));
}

pub(crate) fn a_known_key_is_a_known_job(make: Make<'_>) {
    let queue = make(Limits::new());
    let id = queue.push(Job::new("a").key("same")).unwrap();
    let pushed = queue.push_all([Job::new("b").key("same"), Job::new("c").key("other")]).unwrap();
    assert_eq!((pushed[0].id, pushed[0].is_new, pushed[1].is_new), (id, false, true));
    // Twice in one batch, too.
    let twice = queue.push_all([Job::new("d").key("x"), Job::new("e").key("x")]).unwrap();
    assert_eq!((twice[0].id, twice[1].is_new), (twice[1].id, false));
    // Also after its end, for as long as it is kept.
    for job in lease(&queue, "w", 9) {
        end(&queue, "w", complete(job.hold));
    }
    assert_eq!(queue.push(Job::new("a").key("same")).unwrap(), id);
    assert_eq!(queue.stats().unwrap().pushed, 3);
    queue.purge(Purge::Results).unwrap();
    assert_ne!(queue.push(Job::new("a").key("same")).unwrap(), id);
}

pub(crate) fn a_batch_is_pushed_as_one_or_not_at_all(make: Make<'_>) {
    let queue = make(Limits::new().max_jobs(3));
    let jobs = |n| (0..n).map(|n| Job::new(format!("job {n}"))).collect::<Vec<_>>();
    assert!(matches!(queue.push_all(jobs(4)), Err(Error::Full(_))));
    assert_eq!(queue.stats().unwrap().waiting, 0);
    queue.push_all(jobs(3)).unwrap();
    assert!(matches!(queue.push("one more"), Err(Error::Full(_))));
    // A known one needs no room.
    let queue = make(Limits::new().max_jobs(1));
    queue.push(Job::new("a").key("k")).unwrap();
    queue.push(Job::new("a").key("k")).unwrap();
    let queue = make(Limits::new().max_bytes(2_000));
    assert!(matches!(queue.push("x".repeat(2_000)), Err(Error::Full(_))));
    queue.push("x".repeat(1_000)).unwrap();
    assert!(matches!(queue.push("x".repeat(1_000)), Err(Error::Full(_))));
}

pub(crate) fn high_goes_first_and_low_does_not_starve(make: Make<'_>) {
    let queue = make(Limits::new());
    let push = |priority, n| {
        let jobs = (0..n).map(|_| Job::new("x").priority(priority));
        queue.push_all(jobs).unwrap().into_iter().map(|pushed| pushed.id).collect::<Vec<_>>()
    };
    let (low, high) = (push(Priority::Low, 3), push(Priority::High, 20));
    let normal = push(Priority::Normal, 1);
    let mut taken = Vec::new();
    for want in [1, 3, 100, 100] {
        taken.extend(lease(&queue, "w", want).into_iter().map(|job| job.hold.id));
    }
    assert_eq!(taken.len(), 24);
    assert_eq!(taken[..8], high[..8]);
    assert_eq!(taken[8], low[0]);
    assert_eq!(taken[9..17], high[8..16]);
    assert_eq!(taken[17], low[1]);
    assert_eq!(taken[18..22], high[16..]);
    assert_eq!(taken[22..], [normal[0], low[2]]);
}

pub(crate) fn a_worker_gets_only_jobs_whose_tools_it_offers(make: Make<'_>) {
    let queue = make(Limits::new());
    let both = queue.push(Job::new("x").tool("b").tool("a").tool("b")).unwrap();
    let one = queue.push(Job::new("x").tool("a")).unwrap();
    let none = queue.push(Job::new("x")).unwrap();
    let offer = |tools: &[String]| {
        let jobs = exchange(&queue, &Exchange { want: 9, tools, ..ask("w") }).jobs;
        jobs.into_iter().map(|job| job.hold.id).collect::<Vec<_>>()
    };
    assert_eq!(offer(&["ab".into()]), [none]);
    assert_eq!(offer(&["a".into()]), [one]);
    assert_eq!(offer(&["a".into(), "c".into(), "b".into()]), [both]);
}

pub(crate) fn a_lapsed_lease_goes_to_another_and_the_first_is_fenced(make: Make<'_>) {
    let queue = make(Limits::new());
    let id = queue.push("x").unwrap();
    let first = exchange(&queue, &Exchange { want: 1, lease: SHORT, ..ask("slow") });
    let first = first.jobs[0].hold;
    let second = lease_soon(&queue, "quick");
    assert_eq!((second.hold.attempt, second.deliveries), (2, 2));
    // The first wakes up: neither its renewal nor its outcome is taken.
    let late = Exchange { held: &[first], ends: &[complete(first)], ..ask("slow") };
    let late = exchange(&queue, &late);
    assert_eq!((late.held[0], late.ends[0]), (Renewed::Lost, Ended::Fenced));
    assert_eq!(state(&queue, id), JobState::Working);
    assert_eq!(end(&queue, "quick", complete(second.hold)), Ended::Recorded);
    assert_eq!(end(&queue, "slow", complete(first)), Ended::Fenced);
    let stats = queue.stats().unwrap();
    assert_eq!((stats.fenced, stats.redelivered, stats.finished), (2, 1, 1));
    let reasons = queue.status(id).unwrap().unwrap().reasons;
    assert!(reasons[0].contains("slow"), "{reasons:?}");
}

pub(crate) fn renewed_leases_do_not_lapse_celery_5935_bullmq_439(make: Make<'_>) {
    let queue = make(Limits::new());
    queue.push("x").unwrap();
    let lease = Duration::from_millis(300);
    let begun = Instant::now();
    let hold = exchange(&queue, &Exchange { want: 1, lease, ..ask("w") }).jobs[0].hold;
    // The job takes three times as long as its lease.
    while begun.elapsed() < 3 * lease {
        let renewed = exchange(&queue, &Exchange { held: &[hold], lease, ..ask("w") });
        assert_eq!(renewed.held, [Renewed::Held]);
        assert!(exchange(&queue, &Exchange { want: 1, ..ask("thief") }).jobs.is_empty());
        queue.engine.wait_for_outcome(hold.id, lease / 6);
    }
    assert_eq!(end(&queue, "w", complete(hold)), Ended::Recorded);
}

pub(crate) fn a_dead_worker_shows_within_one_lease_docling_jobkit_102(make: Make<'_>) {
    let queue = make(Limits::new());
    queue.push("x").unwrap();
    let lease = Duration::from_millis(400);
    let begun = Instant::now();
    exchange(&queue, &Exchange { want: 1, lease, ..ask("dies") });
    let stats = queue.stats().unwrap();
    assert_eq!((stats.leased, stats.waiting), (1, 0));
    assert_eq!(stats.workers[0].name, "dies");
    assert!(stats.workers[0].alive_for > Duration::ZERO);
    lease_soon(&queue, "heir");
    let took = begun.elapsed();
    // A fifth more for the sweep and a busy machine's own delays.
    assert!(took >= lease && took < lease * 2, "{took:?}");
}

pub(crate) fn deliveries_are_counted_and_a_poison_job_is_buried(make: Make<'_>) {
    let queue = make(Limits::new());
    let id = queue.push(Job::new("poison").max_deliveries(3).key("p")).unwrap();
    for delivery in 1..=3 {
        let job = lease(&queue, "w", 1).pop().unwrap();
        assert_eq!(job.deliveries, delivery);
        let ended = end(&queue, "w", retry(job.hold, Duration::ZERO, true));
        assert_eq!(ended, if delivery < 3 { Ended::Requeued } else { Ended::Dead });
    }
    assert!(lease(&queue, "w", 1).is_empty());
    let dead = queue.dead(10).unwrap();
    assert_eq!((dead.len(), dead[0].id, dead[0].deliveries, dead[0].reasons.len()), (1, id, 3, 3));
    assert!(dead[0].reasons[2].contains("it failed"), "{:?}", dead[0].reasons);
    let outcome = queue.wait(id, LONG).unwrap();
    assert_eq!(outcome.error.unwrap().kind, "dead");
    assert!(!queue.cancel(id).unwrap());
    // Its key is known for as long as it is on the list.
    assert_eq!(queue.push(Job::new("poison").key("p")).unwrap(), id);
    assert!(queue.retry_dead(id).unwrap());
    assert!(!queue.retry_dead(id).unwrap());
    let job = lease(&queue, "w", 1).pop().unwrap();
    assert_eq!((job.deliveries, job.hold.attempt), (1, 4));
    assert_eq!(end(&queue, "w", complete(job.hold)), Ended::Recorded);
    assert!(queue.dead(10).unwrap().is_empty());
}

pub(crate) fn uncounted_ends_do_not_bury(make: Make<'_>) {
    let queue = make(Limits::new());
    let id = queue.push(Job::new("x").max_deliveries(1)).unwrap();
    for attempt in 1..5 {
        let job = lease(&queue, "w", 1).pop().unwrap();
        assert_eq!((job.deliveries, job.hold.attempt), (1, attempt));
        let how = if attempt % 2 == 0 {
            How::HandBack
        } else {
            retry(job.hold, Duration::ZERO, false).how
        };
        assert_eq!(end(&queue, "w", End { hold: job.hold, how }), Ended::Requeued);
    }
    assert_eq!(state(&queue, id), JobState::Submitted);
}

pub(crate) fn a_job_waits_out_its_pause(make: Make<'_>) {
    let queue = make(Limits::new());
    let id = queue.push("x").unwrap();
    let job = lease(&queue, "w", 1).pop().unwrap();
    let pause = Duration::from_millis(150);
    let begun = Instant::now();
    assert_eq!(end(&queue, "w", retry(job.hold, pause, true)), Ended::Requeued);
    assert_eq!((state(&queue, id), queue.stats().unwrap().waiting), (JobState::Submitted, 1));
    lease_soon(&queue, "w");
    // To the millisecond of the clocks involved.
    assert!(begun.elapsed() + Duration::from_millis(2) >= pause, "{:?}", begun.elapsed());
}

pub(crate) fn a_waiting_job_is_cancelled_at_once_and_a_leased_one_is_marked(make: Make<'_>) {
    let queue = make(Limits::new());
    let ids = queue.push_all([Job::new("a"), Job::new("b"), Job::new("c")]).unwrap();
    let (a, b, c) = (ids[0].id, ids[1].id, ids[2].id);
    let held = lease(&queue, "w", 2);
    assert!(queue.cancel(c).unwrap());
    assert_eq!(queue.wait(c, LONG).unwrap().state, JobState::Canceled);
    assert!(!queue.cancel(c).unwrap());
    assert!(queue.cancel(a).unwrap());
    assert!(queue.status(a).unwrap().unwrap().cancel_asked);
    let held: Vec<Hold> = held.iter().map(|job| job.hold).collect();
    let renewed = exchange(&queue, &Exchange { held: &held, ..ask("w") });
    assert_eq!(renewed.held, [Renewed::CancelAsked, Renewed::Held]);
    // It was through before it heard: then it is completed.
    assert_eq!(end(&queue, "w", complete(held[0])), Ended::Recorded);
    assert_eq!(state(&queue, a), JobState::Completed);
    // One in its pause waits, too.
    assert_eq!(end(&queue, "w", retry(held[1], LONG, true)), Ended::Requeued);
    assert!(queue.cancel(b).unwrap());
    assert_eq!(state(&queue, b), JobState::Canceled);
    assert_eq!(queue.stats().unwrap().waiting, 0);
    let unknown = queue.engine.cancel(JobId::next(), &[]).unwrap();
    assert_eq!(unknown, Cancelled::Unknown);
}

pub(crate) fn a_cancelled_job_that_comes_back_is_canceled(make: Make<'_>) {
    let queue = make(Limits::new());
    let ids = queue.push_all([Job::new("a"), Job::new("b")]).unwrap();
    let first = exchange(&queue, &Exchange { want: 1, ..ask("w") }).jobs[0].hold;
    queue.cancel(first.id).unwrap();
    assert_eq!(end(&queue, "w", retry(first, Duration::ZERO, true)), Ended::Canceled);
    assert_eq!(queue.wait(ids[0].id, LONG).unwrap().state, JobState::Canceled);
    // Nobody renews the second.
    let second = exchange(&queue, &Exchange { want: 1, lease: SHORT, ..ask("w") }).jobs[0].hold;
    queue.cancel(second.id).unwrap();
    let until = Instant::now() + LONG;
    while state(&queue, second.id) != JobState::Canceled {
        assert!(lease(&queue, "v", 1).is_empty() && Instant::now() < until);
        queue.engine.wait_for_work(Duration::from_millis(5));
    }
}

pub(crate) fn an_end_said_twice_is_recorded_once(make: Make<'_>) {
    let queue = make(Limits::new());
    queue.push("x").unwrap();
    let hold = lease(&queue, "w", 1)[0].hold;
    // As after a lost answer.
    for _ in 0..2 {
        assert_eq!(end(&queue, "w", complete(hold)), Ended::Recorded);
    }
    assert_eq!(end(&queue, "w", retry(hold, Duration::ZERO, true)), Ended::Fenced);
    assert_eq!(queue.stats().unwrap().finished, 1);
}

pub(crate) fn results_go_by_number_bytes_and_age(make: Make<'_>) {
    let finish = |queue: &JobQueue, n: usize| {
        let jobs = (0..n).map(|n| Job::new("x").key(format!("{n}-{}", JobId::next())));
        let ids: Vec<_> = queue.push_all(jobs).unwrap().iter().map(|job| job.id).collect();
        for job in lease(queue, "w", n) {
            let record = outcome(job.hold.id, JobState::Completed, &"y".repeat(500));
            let how = How::Outcome { state: JobState::Completed, record };
            assert_eq!(end(queue, "w", End { hold: job.hold, how }), Ended::Recorded);
        }
        ids
    };
    let queue = make(Limits::new().max_results(3));
    let ids = finish(&queue, 5);
    let kept: Vec<bool> = ids.iter().map(|id| queue.result(*id).is_ok()).collect();
    assert_eq!(kept, [false, false, true, true, true]);
    let stats = queue.stats().unwrap();
    assert_eq!((stats.results, stats.results_dropped), (3, 2));

    let queue = make(Limits::new().max_bytes(4_000));
    finish(&queue, 3);
    finish(&queue, 3);
    let stats = queue.stats().unwrap();
    assert!(stats.bytes <= 4_000 && (1..6).contains(&stats.results), "{stats:?}");

    let queue = make(Limits::new().result_ttl(Duration::from_millis(30)));
    let old = finish(&queue, 1)[0];
    let until = Instant::now() + LONG;
    // Not shown any more, and dropped with the next outcome.
    while queue.status(old).unwrap().is_some() {
        assert!(Instant::now() < until);
        queue.engine.wait_for_work(Duration::from_millis(5));
    }
    assert!(matches!(queue.result(old), Err(Error::UnknownJob(_))));
    finish(&queue, 1);
    assert_eq!(queue.stats().unwrap().results_dropped, 1);
}

pub(crate) fn purges_leave_nothing_behind(make: Make<'_>) {
    let queue = make(Limits::new());
    let jobs = (0..30).map(|n| Job::new("x").key(format!("k{n}")).max_deliveries(1));
    queue.push_all(jobs).unwrap();
    for (n, job) in lease(&queue, "w", 20).into_iter().enumerate() {
        let how = match n % 4 {
            0 => complete(job.hold),
            1 => retry(job.hold, Duration::ZERO, true),
            2 => retry(job.hold, LONG, false),
            _ => End { hold: job.hold, how: How::HandBack },
        };
        end(&queue, "w", how);
    }
    let purge = |what| queue.purge(what).unwrap();
    assert_eq!((purge(Purge::Results), purge(Purge::Dead), purge(Purge::Waiting)), (5, 5, 20));
    let stats = queue.stats().unwrap();
    assert_eq!(
        (stats.waiting, stats.leased, stats.dead, stats.results, stats.bytes),
        (0, 0, 0, 0, 0)
    );
    assert!(lease(&queue, "w", 9).is_empty());
    assert!(
        queue
            .push_all((0..30).map(|n| Job::new("x").key(format!("k{n}"))))
            .unwrap()
            .iter()
            .all(|pushed| pushed.is_new)
    );
}

pub(crate) fn bookmarks_stay(make: Make<'_>) {
    let queue = make(Limits::new());
    assert_eq!(queue.bookmark("list").unwrap(), 0);
    queue.set_bookmark("list", 7).unwrap();
    queue.set_bookmark("other", u64::from(u32::MAX)).unwrap();
    assert_eq!(queue.bookmark("list").unwrap(), 7);
    assert!(matches!(queue.set_bookmark("", 1), Err(Error::InvalidConfig(_))));
}

pub(crate) fn statistics_add_up(make: Make<'_>) {
    let queue = make(Limits::new());
    queue.push_all((0..6).map(|_| Job::new("x").max_deliveries(1))).unwrap();
    let jobs = lease(&queue, "w", 3);
    lease(&queue, "v", 1);
    end(&queue, "w", complete(jobs[0].hold));
    end(&queue, "w", retry(jobs[1].hold, LONG, true));
    let stats = queue.stats().unwrap();
    assert_eq!((stats.waiting, stats.leased, stats.dead, stats.results), (2, 2, 1, 1));
    assert_eq!((stats.pushed, stats.finished, stats.redelivered), (6, 1, 1));
    let workers: Vec<_> =
        stats.workers.iter().map(|worker| (worker.name.as_str(), worker.leased)).collect();
    assert_eq!(workers, [("v", 1), ("w", 1)]);
    assert!(stats.bytes > 0);
}

pub(crate) fn reported_outcomes_are_not_reported_again(make: Make<'_>) {
    let queue = make(Limits::new());
    let adopt = |worker| queue.engine.adopt_unreported(worker, LONG).unwrap();
    assert!(adopt("w").is_empty());
    queue.push_all([Job::new("a"), Job::new("b")]).unwrap();
    let jobs = lease(&queue, "w", 2);
    let ends: Vec<End> = jobs.iter().map(|job| complete(job.hold)).collect();
    exchange(&queue, &Exchange { ends: &ends, report: true, ..ask("w") });
    // The worker lives and reports them itself.
    assert!(adopt("v").is_empty());
    let told = [jobs[0].hold.id];
    exchange(&queue, &Exchange { reported: &told, ..ask("w") });
}
