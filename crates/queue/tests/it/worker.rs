//! A worker over the embedded engine.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{
    AiBackend, ErrorKind, FnTool, HelperConfig, TaskError, create_local_helper,
};
use automation_assistant_queue::{Error, Job, JobReport, JobState, Limits, Stop, Worker};
use serde_json::json;

use crate::support::bench::{Bench, echo, endless};
use crate::support::{Folder, LONG, until};

#[test]
fn it_takes_as_many_jobs_as_its_helpers_have_idle_threads() {
    let (send, receive) = channel::<()>();
    let receive = Mutex::new(receive);
    let bench = Bench::new(3, Limits::new(), move |call| {
        // One word lets one task go.
        receive.lock().unwrap().recv().map_err(|_| TaskError::new(ErrorKind::Other, "gone"))?;
        echo(call)
    });
    bench.queue.push_all((0..5).map(|n| Job::new(format!("{n}")))).unwrap();
    // No short tasks, of which more would be taken.
    let long = Duration::from_millis(250);
    let begun = Instant::now();
    let (report, ()) = bench.beside(bench.worker(), || {
        let counts = || {
            let stats = bench.queue.stats().unwrap();
            (stats.leased, stats.waiting, stats.finished)
        };
        until("three are leased", || counts() == (3, 2, 0));
        until("their tasks have run for long", || begun.elapsed() > long);
        send.send(()).unwrap();
        until("one more is", || counts() == (3, 1, 1));
        (0..4).for_each(|_| send.send(()).unwrap());
        until("all are done", || counts() == (0, 0, 5));
    });
    assert_eq!(report.completed, 5);
    // The helper keeps none of the results that the queue has.
    let status = &bench.manager.get_all_helpers_status()[0];
    assert_eq!((status.completed_tasks, status.kept_results), (5, 0));
}

#[test]
fn the_next_job_begins_before_the_owner_is_through_with_an_outcome() {
    let (begins, begun) = channel::<()>();
    let begins = Mutex::new(begins);
    let bench = Bench::new(1, Limits::new(), move |call| {
        begins.lock().unwrap().send(()).unwrap();
        echo(call)
    });
    bench.queue.push_all(["first", "second"].map(Job::new)).unwrap();
    let mut outcomes = 0;
    let worker = bench.worker().until_empty().on_outcome(move |_| {
        outcomes += 1;
        if outcomes == 1 {
            (0..2).for_each(|_| begun.recv_timeout(LONG).unwrap());
        }
    });
    assert_eq!(worker.run(&Stop::new()).unwrap().completed, 2);
}

#[test]
fn a_stop_hands_unfinished_jobs_back_at_once_and_uncounted() {
    let bench = Bench::new(2, Limits::new(), endless);
    let ids = bench.queue.push_all((0..3).map(|n| Job::new(format!("{n}")))).unwrap();
    let worker = bench.worker().lease(Duration::from_secs(3_600));
    let (report, begun) = bench.beside(worker, || {
        until("they run", || bench.queue.stats().unwrap().leased == 2);
        Instant::now()
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(report.handed_back, 2);
    for job in ids {
        let status = bench.queue.status(job.id).unwrap().unwrap();
        assert_eq!((status.state, status.deliveries), (JobState::Submitted, 0));
    }
    until("the tasks are cancelled", || {
        bench.manager.get_all_helpers_status()[0].active_tasks == 0
    });
}

#[test]
fn a_job_may_take_longer_than_its_lease_celery_5935() {
    let lease = Duration::from_millis(300);
    let bench = Bench::new(1, Limits::new(), move |call| {
        call.pause(lease * 4)?;
        echo(call)
    });
    let id = bench.queue.push("slow").unwrap();
    let report = bench.worker().lease(lease).until_empty().run(&Stop::new()).unwrap();
    assert_eq!((report.completed, report.fenced), (1, 0));
    assert_eq!(bench.queue.status(id).unwrap().unwrap().deliveries, 1);
}

#[test]
fn a_running_job_is_cancelled() {
    let bench = Bench::new(1, Limits::new(), endless);
    let id = bench.queue.push("endless").unwrap();
    let worker = bench.worker().lease(Duration::from_secs(3_600));
    let (report, outcome) = bench.beside(worker, || {
        until("it runs", || bench.state(id) == JobState::Working);
        assert!(bench.queue.cancel(id).unwrap());
        bench.queue.wait(id, LONG).unwrap()
    });
    assert_eq!((outcome.state, outcome.result, outcome.error), (JobState::Canceled, None, None));
    assert_eq!(report.canceled, 1);
}

#[test]
fn what_a_failure_does_to_its_job() {
    let again = [
        ErrorKind::Timeout,
        ErrorKind::RateLimited,
        ErrorKind::Server,
        ErrorKind::Network,
        ErrorKind::Other,
    ];
    let outright = [
        ErrorKind::InvalidRequest,
        ErrorKind::ContextLengthExceeded,
        ErrorKind::ContentFiltered,
        ErrorKind::Truncated,
        ErrorKind::Protocol,
        ErrorKind::ResponseTooLarge,
        ErrorKind::Unsupported,
    ];
    for kind in again.into_iter().chain(outright) {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let bench = Bench::new(1, Limits::new(), move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Err(TaskError::new(kind, "it did not work"))
        });
        let id = bench.queue.push(Job::new("x").max_deliveries(3)).unwrap();
        let report = bench.run_all();
        let status = bench.queue.status(id).unwrap().unwrap();
        let error = bench.queue.result(id).unwrap().unwrap().error.unwrap();
        if again.contains(&kind) {
            assert_eq!((status.dead, calls.load(Ordering::SeqCst)), (true, 3), "{kind}");
            assert_eq!((report.retried, report.dead), (2, 1), "{kind}");
            assert!(status.reasons[2].contains(kind.as_str()), "{:?}", status.reasons);
            assert_eq!(error.kind, "dead");
        } else {
            assert_eq!((status.dead, calls.load(Ordering::SeqCst)), (false, 1), "{kind}");
            assert_eq!((report.failed, error.kind.as_str()), (1, kind.as_str()));
            assert_eq!(error.message, "it did not work");
        }
    }
}

/// The first bytes of a GIF.
const GIF: &[u8] = b"GIF89a";

/// Says what pictures it was given.
struct Sees;

impl AiBackend for Sees {
    fn name(&self) -> &str {
        "Sees"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let images = call.request().images().iter();
        let seen = images.map(|image| format!("{:?} {:?}", image.bytes(), image.url()));
        Ok(Reply::new(seen.collect::<Vec<_>>().join(", ")))
    }

    fn accepts_images(&self) -> bool {
        true
    }
}

#[test]
fn pictures_reach_a_helper_that_takes_them_and_no_other() {
    let url = "https://h.example/a.png";
    let job = || Job::new("x").image_bytes("image/gif", GIF.to_vec()).image_url(url);
    let wrong = || Job::new("x").image_bytes("image/png", GIF.to_vec());
    let bench = Bench::new(1, Limits::new(), echo);
    let blind = bench.queue.push(job()).unwrap();
    bench.run_all();
    let of = |id| bench.queue.result(id).unwrap().unwrap();
    assert_eq!(of(blind).error.unwrap().kind, "unsupported");

    let [good, bad] = [job(), wrong()].map(|job| bench.queue.push(job).unwrap());
    let sees = bench.manager.spawn_helper_with(HelperConfig::local(), Sees).unwrap();
    let worker = Worker::new(&bench.queue, &bench.manager).helper(sees);
    worker.until_empty().run(&Stop::new()).unwrap();
    let seen = format!("{:?} None, None {:?}", Some(GIF), Some(url));
    assert_eq!(of(good).result.as_deref(), Some(seen.as_str()));
    let error = of(bad).error.unwrap();
    assert!(error.kind == "invalid_request" && error.message.contains("image/gif"), "{error:?}");
}

#[test]
fn a_panic_is_a_counted_delivery() {
    let calls = AtomicU32::new(0);
    let bench = Bench::new(1, Limits::new(), move |call| {
        assert!(calls.fetch_add(1, Ordering::SeqCst) > 0, "the first time");
        echo(call)
    });
    let id = bench.queue.push("x").unwrap();
    assert_eq!(bench.run_all().completed, 1);
    assert_eq!(bench.queue.status(id).unwrap().unwrap().deliveries, 2);
}

/// One phone with a refused key must not bury what the rest of the fleet can do.
#[test]
fn a_worker_without_a_good_key_buries_nothing() {
    let kinds = [
        ErrorKind::Authentication,
        ErrorKind::PermissionDenied,
        ErrorKind::NotFound,
        ErrorKind::QuotaExceeded,
    ];
    for kind in kinds {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let bench = Bench::new(1, Limits::new(), move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Err(TaskError::new(kind, "not with this key"))
        });
        let id = bench.queue.push(Job::new("x").max_deliveries(1)).unwrap();
        bench.beside(bench.worker(), || {
            until("it is put back", || bench.queue.stats().unwrap().redelivered == 1);
        });
        let status = bench.queue.status(id).unwrap().unwrap();
        assert_eq!((status.state, status.deliveries), (JobState::Submitted, 0), "{kind}");
        // It rests instead of trying again and again.
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        let good = create_local_helper(&bench.manager, "good").unwrap();
        let worker = Worker::new(&bench.queue, &bench.manager).helper(good);
        worker.until_empty().run(&Stop::new()).unwrap();
        assert_eq!(bench.state(id), JobState::Completed);
    }
}

#[test]
fn an_answer_beyond_the_bound_is_a_failure_not_a_loss() {
    let limits = Limits::new().max_result_bytes(4_096);
    let bench = Bench::new(1, limits, |_| Ok(Reply::new("x".repeat(5_000))));
    let id = bench.queue.push("x").unwrap();
    assert_eq!(bench.run_all().failed, 1);
    let error = bench.queue.result(id).unwrap().unwrap().error.unwrap();
    assert_eq!(error.kind, "response_too_large");
    assert!(error.message.contains("max_result_bytes"), "{error}");
}

#[test]
fn a_job_past_its_deadline_is_not_run() {
    let bench = Bench::new(1, Limits::new(), |_| panic!("it ran"));
    let past = SystemTime::now() - Duration::from_secs(1);
    let id = bench.queue.push(Job::new("x").deadline(past)).unwrap();
    assert_eq!(bench.run_all().failed, 1);
    let error = bench.queue.result(id).unwrap().unwrap().error.unwrap();
    assert_eq!(error.kind, "timeout");
}

#[test]
fn a_job_gets_the_tools_it_names_and_all_else_it_was_pushed_with() {
    let bench = Bench::new(1, Limits::new(), |call| {
        let request = call.request();
        let tools: Vec<&str> = request.get_tools().iter().map(|tool| tool.name()).collect();
        assert_eq!(tools, ["lamp"]);
        assert_eq!(request.get_turns().len(), 1);
        assert_eq!(request.get_context()["place"], "kitchen");
        assert_eq!(request.get_custom_params()["temperature"], 0.5);
        assert_eq!(request.get_reply_schema().unwrap().0, "answer");
        assert_eq!(call.system_prompt(), Some("Be brief."));
        assert!(call.deadline().is_some());
        echo(call)
    });
    let job = Job::new("light")
        .tool("lamp")
        .turn(automation_assistant::Role::User, "hello")
        .context("place", "kitchen")
        .custom_param("temperature", 0.5)
        .reply_schema("answer", json!({"type": "object"}))
        .system_prompt("Be brief.")
        .deadline(SystemTime::now() + LONG);
    let id = bench.queue.push(job).unwrap();
    let tool = |name| FnTool::new(name, "", json!({"type": "object"}), |_| Ok(String::new()));
    let worker = bench.worker().tool(tool("radio")).tool(tool("lamp"));
    worker.until_empty().run(&Stop::new()).unwrap();
    assert_eq!(bench.queue.result(id).unwrap().unwrap().result.as_deref(), Some("light"));
}

#[test]
fn each_outcome_is_reported_once_by_the_worker_that_recorded_it() {
    let bench = Bench::new(4, Limits::new(), echo);
    let other = create_local_helper(&bench.manager, "other").unwrap();
    bench.queue.push_all((0..300).map(|n| Job::new("x").key(format!("{n}")))).unwrap();
    let reported = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for helper in [bench.helper, other] {
            let (bench, reported) = (&bench, &reported);
            scope.spawn(move || {
                let worker = Worker::new(&bench.queue, &bench.manager).helper(helper);
                let worker = worker.until_empty().on_outcome(|outcome| {
                    reported.lock().unwrap().push(outcome.key.clone().unwrap());
                });
                worker.run(&Stop::new()).unwrap()
            });
        }
    });
    let mut reported = reported.into_inner().unwrap();
    reported.sort_unstable();
    reported.dedup();
    assert_eq!(reported.len(), 300);
    assert_eq!(bench.queue.stats().unwrap().finished, 300);
}

#[test]
fn a_worker_whose_helpers_are_gone_ends_and_its_jobs_wait() {
    let bench = Bench::new(1, Limits::new(), endless);
    let id = bench.queue.push("x").unwrap();
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| bench.worker().run(&Stop::new()));
        until("it runs", || bench.state(id) == JobState::Working);
        bench.manager.terminate_helper(bench.helper).unwrap();
        running.join().unwrap()
    });
    assert!(matches!(ended, Err(Error::Worker(_))), "{ended:?}");
    assert_eq!(bench.state(id), JobState::Submitted);
}

#[test]
fn the_audit_file_has_jobs_and_the_report_the_audit_file() {
    let folder = Folder::new();
    let path = folder.file("audit.jsonl");
    let telemetry = automation_assistant::Telemetry::to_file(&path).unwrap();
    let bench = Bench::new(1, Limits::new(), |call| match call.prompt() {
        "good" => echo(call),
        "poison" => Err(TaskError::new(ErrorKind::Server, "it is down")),
        _ => Err(TaskError::new(ErrorKind::ContentFiltered, "no")),
    });
    let queue = bench.queue.clone().telemetry(telemetry);
    let jobs = ["good", "good", "poison", "bad"].map(|prompt| Job::new(prompt).max_deliveries(3));
    queue.push_all(jobs).unwrap();
    queue.push(Job::new("good").key("k")).unwrap();
    queue.push(Job::new("good").key("k")).unwrap();
    let worker = Worker::new(&queue, &bench.manager).helper(bench.helper);
    let worker = worker.retry_pause(Duration::from_millis(1)).until_empty();
    worker.run(&Stop::new()).unwrap();
    drop(queue);
    let report = JobReport::from_path(&path).unwrap();
    assert_eq!((report.pushed, report.completed, report.failed), (5, 3, 1));
    assert_eq!((report.redelivered, report.dead, report.done()), (2, 1, 4));
    assert!(report.waited_p50_ms().unwrap() <= report.waited_p95_ms().unwrap());
    assert!(report.to_string().starts_with("Jobs:\n  Pushed: 5\n"), "{report}");
    assert!(report.to_markdown().contains("\n- Dead: 1\n"));
    // The core counts them by name, and no more.
    let debrief = automation_assistant::Debrief::from_path(&path).unwrap();
    let counts = debrief.companion_events();
    assert!(counts.contains(&("queue.done", 4)) && counts.contains(&("queue.dead", 1)));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("good") && !text.contains("poison"), "{text}");
}
