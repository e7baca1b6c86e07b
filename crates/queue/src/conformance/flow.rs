//! From a push to an outcome; leases.

use super::*;

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
    // A known one needs no place.
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

/// The core's order for a helper's queue: neither a lane below nor one between starves.
pub(crate) fn no_lane_waits_for_ever_between_two_others(make: Make<'_>) {
    let queue = make(Limits::new());
    let push = |priority, n| {
        queue.push_all((0..n).map(|_| Job::new("x").priority(priority))).unwrap();
    };
    push(Priority::High, 200);
    push(Priority::Low, 20);
    push(Priority::Normal, 5);
    // One at a time, a few, many: the order is the queue's, not an exchange's.
    let mut taken = Vec::new();
    for want in [vec![1; 40], vec![5; 8], vec![64]].concat() {
        taken.extend(
            lease(&queue, "w", want)
                .iter()
                .map(|job| crate::record::read_job(&job.record).unwrap().priority),
        );
    }
    let expected = (1..=144).map(|n| match n {
        72 | 144 => Priority::Normal,
        n if n % 9 == 0 => Priority::Low,
        _ => Priority::High,
    });
    assert_eq!(taken, expected.collect::<Vec<_>>());
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
