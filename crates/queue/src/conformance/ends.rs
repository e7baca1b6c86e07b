//! Ends of deliveries; cancellation.

use super::*;

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
    for (limit, found) in [(0, 0), (1, 1), (usize::MAX, 1)] {
        assert_eq!(queue.dead(limit).unwrap().len(), found, "{limit}");
    }
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

/// Of jobs that one worker's end has put back, one may be to blame: it must not take the others
/// along to the dead list.
pub(crate) fn jobs_delivered_before_come_no_more_than_are_asked_for(make: Make<'_>) {
    let queue = make(Limits::new());
    queue.push_all((0..5).map(|n| Job::new(format!("{n}")))).unwrap();
    exchange(&queue, &Exchange { want: 3, lease: SHORT, ..ask("dies") });
    let (mut fresh, mut again) = (0, 0);
    let until = Instant::now() + LONG;
    for allowed in [1, 0].into_iter().cycle() {
        let jobs = exchange(&queue, &Exchange { want: 9, again: allowed, ..ask("heir") }).jobs;
        let before = jobs.iter().filter(|job| job.deliveries > 1).count();
        assert!(before <= allowed, "{before} of {allowed}");
        again += before;
        fresh += jobs.len() - before;
        if (fresh, again) == (2, 3) {
            return;
        }
        assert!(Instant::now() < until, "{fresh} and {again} came");
        queue.engine.wait_for_work("heir", Duration::from_millis(5)).unwrap();
    }
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
    // It ended before it got the cancel: then it is completed.
    assert_eq!(end(&queue, "w", complete(held[0])), Ended::Recorded);
    let asked = |id| queue.status(id).unwrap().unwrap().cancel_asked;
    assert_eq!((state(&queue, a), asked(a)), (JobState::Completed, false));
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
    assert!(!queue.status(ids[0].id).unwrap().unwrap().cancel_asked);
    // Nobody renews the second.
    let second = exchange(&queue, &Exchange { want: 1, lease: SHORT, ..ask("w") }).jobs[0].hold;
    queue.cancel(second.id).unwrap();
    let until = Instant::now() + LONG;
    while state(&queue, second.id) != JobState::Canceled {
        assert!(lease(&queue, "v", 1).is_empty() && Instant::now() < until);
        queue.engine.wait_for_work("w", Duration::from_millis(5)).unwrap();
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
