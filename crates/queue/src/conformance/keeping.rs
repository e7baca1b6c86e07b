//! Records and outcomes: how long they are kept, and the counts of them.

use super::*;

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
        queue.engine.wait_for_work("w", Duration::from_millis(5)).unwrap();
    }
    assert!(matches!(queue.result(old), Err(Error::UnknownJob(_))));
    finish(&queue, 1);
    assert_eq!(queue.stats().unwrap().results_dropped, 1);
}

/// Fifty threads must not make fifty pictures one answer; none of them waits for another push.
pub(crate) fn an_answer_holds_a_bounded_number_of_bytes(make: Make<'_>) {
    let queue = make(Limits::new());
    let picture = vec![b'x'; 5 << 20];
    let job = || Job::new("what is it?").image_bytes("image/png", picture.clone());
    let ids: Vec<_> =
        queue.push_all((0..4).map(|_| job())).unwrap().iter().map(|pushed| pushed.id).collect();
    let all = |want| exchange(&queue, &Exchange { want, ..ask("w") });
    let mut found = Vec::new();
    for (jobs, more) in [(2, true), (2, true), (0, false)] {
        let out = all(9);
        assert_eq!((out.jobs.len(), out.more), (jobs, more));
        found.extend(out.jobs.iter().map(|job| (job.hold.id, job.deliveries)));
    }
    assert_eq!(found, ids.iter().map(|id| (*id, 1)).collect::<Vec<_>>());
    // One job more than the answer's bytes is one answer.
    let queue = make(Limits::new().max_job_bytes(16 << 20));
    queue.push(Job::new("x".repeat(9 << 20))).unwrap();
    assert_eq!(lease(&queue, "w", 1).len(), 1);
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
    let adopt = |worker| queue.engine.adopt_unreported(worker, LONG, false).unwrap();
    assert!(adopt("w").is_empty());
    queue.push_all([Job::new("a"), Job::new("b")]).unwrap();
    let jobs = lease(&queue, "w", 2);
    let ends: Vec<End> = jobs.iter().map(|job| complete(job.hold)).collect();
    exchange(&queue, &Exchange { ends: &ends, report: true, ..ask("w") });
    // The worker lives and reports them itself.
    assert!(adopt("v").is_empty());
    let reported = [jobs[0].hold.id];
    exchange(&queue, &Exchange { reported: &reported, ..ask("w") });
}
