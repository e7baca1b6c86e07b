//! The rules of every engine, run against each of them.

mod ends;
mod flow;
mod keeping;

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

pub(crate) use ends::*;
pub(crate) use flow::*;
pub(crate) use keeping::*;

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
            no_lane_waits_for_ever_between_two_others
            a_worker_gets_only_jobs_whose_tools_it_offers
            a_lapsed_lease_goes_to_another_and_the_first_is_fenced
            renewed_leases_do_not_lapse_celery_5935_bullmq_439
            a_dead_worker_shows_within_one_lease_docling_jobkit_102
            deliveries_are_counted_and_a_poison_job_is_buried
            jobs_delivered_before_come_no_more_than_are_asked_for
            uncounted_ends_do_not_bury
            a_job_waits_out_its_pause
            a_waiting_job_is_cancelled_at_once_and_a_leased_one_is_marked
            a_cancelled_job_that_comes_back_is_canceled
            an_end_said_twice_is_recorded_once
            results_go_by_number_bytes_and_age
            an_answer_holds_a_bounded_number_of_bytes
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
        again: usize::MAX,
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
        queue.engine.wait_for_work("w", Duration::from_millis(5)).unwrap();
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
