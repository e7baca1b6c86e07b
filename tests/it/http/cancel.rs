//! Cancelling: at once, in every phase, and nobody else's call.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use automation_assistant::{AutomationAssistantManager, ErrorKind, HelperId, TaskRequest};

use super::{ask, chatgpt, failure, spawn};
use crate::support::LONG;
use crate::support::server::{Act, Meeting, Server, answer, answers, delta};

/// Longest time on loopback from a cancel until the thread is free again.
const SOON: Duration = Duration::from_millis(50);

/// Submits a task, meets the server in the middle of it, cancels; measures until the helper's
/// only thread has answered the next task.
fn cancel_in_the_middle(
    manager: &AutomationAssistantManager,
    helper: HelperId,
    request: TaskRequest,
    meeting: &Meeting,
) {
    let task = manager.submit_task(helper, request).unwrap();
    meeting.reached();
    let began = Instant::now();
    assert!(manager.cancel_task(helper, task));
    let ended = manager.wait_task(helper, task, LONG).unwrap();
    assert_eq!(failure(&ended).kind(), ErrorKind::Cancelled);
    assert_eq!(ask(manager, helper, "next").result.as_deref(), Some("next"));
    let took = began.elapsed();
    assert!(took < SOON * 4, "the thread was free after {took:?}");
}

#[test]
fn a_silent_server_does_not_hold_a_cancelled_call() {
    for begun in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let (hold, meeting) = Act::meet();
        let (close, closed) = Act::await_close();
        let script = vec![Act::read(), Act::write(begun), hold, close];
        let server = Server::start([script, answers("next")]);
        let (manager, helper) = spawn(chatgpt(&server));
        cancel_in_the_middle(&manager, helper, TaskRequest::new("p"), &meeting);
        meeting.go();
        closed.recv_timeout(LONG).expect("the cancelled connection is closed");
        drop(manager);
        server.finish();
    }
}

#[test]
fn a_body_that_ends_with_its_connection_is_not_taken_for_an_answer() {
    let (hold, meeting) = Act::meet();
    let whole = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", answer("late"));
    let server = Server::start([vec![Act::read(), Act::write(whole), hold], answers("next")]);
    let (manager, helper) = spawn(chatgpt(&server));
    cancel_in_the_middle(&manager, helper, TaskRequest::new("p"), &meeting);
    meeting.go();
}

#[test]
fn another_call_continues() {
    let (one, first) = Act::meet();
    let (two, second) = Act::meet();
    let script = |meet| vec![Act::read(), meet, Act::json(200, &answer("done"))];
    let server = Server::start([script(one), script(two)]);
    let (manager, helper) = spawn(chatgpt(&server).max_concurrent_tasks(2));
    let cancelled = manager.submit_task(helper, "one").unwrap();
    first.reached();
    let kept = manager.submit_task(helper, "two").unwrap();
    second.reached();
    assert!(manager.cancel_task(helper, cancelled));
    second.go();
    let task = manager.wait_task(helper, kept, LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("done"));
    first.go();
}

#[test]
fn a_stop_ends_a_call_at_once() {
    let (hold, meeting) = Act::meet();
    let server = Server::start([vec![Act::read(), hold]]);
    let (manager, helper) = spawn(chatgpt(&server));
    let handle = manager.get_helper(helper).unwrap();
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    let began = Instant::now();
    manager.terminate_helper(helper).unwrap();
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert!(handle.get_task_result(task).unwrap().error.is_some());
    assert_eq!(handle.get_status().unjoined_threads, 0);
    meeting.go();
}

/// Tasks of the storm below; every second one is cancelled.
const STORM: usize = 400;

#[test]
fn in_a_storm_of_cancels_every_other_task_gets_its_answer() {
    let scripts = (0..STORM).map(|_| vec![Act::serve("fine")]);
    let server = Server::start(scripts);
    let config = chatgpt(&server).max_concurrent_tasks(4).queue_capacity(STORM);
    let (manager, helper) = spawn(config);
    let submit = |n: usize| manager.submit_task(helper, format!("task {n}")).unwrap();
    let tasks: Vec<_> = (0..STORM).map(submit).collect();
    // Wherever it is just now: queued, connecting, sending, reading, over, or next to one.
    let mut cancelled = 0;
    for task in tasks.iter().skip(1).step_by(2) {
        cancelled += usize::from(manager.cancel_task(helper, *task));
    }
    for task in tasks.iter().step_by(2) {
        let task = manager.wait_task(helper, *task, LONG).unwrap();
        assert_eq!(task.result.as_deref(), Some("fine"), "{:?}", task.error);
        assert_eq!(task.attempts, 1);
    }
    assert!(cancelled > 0);
    drop(manager);
    server.finish();
}

#[test]
fn a_cancel_in_the_middle_of_answers_never_reaches_the_next_task() {
    // One thread: each cancelled task is followed at once by one on the same connection, or
    // on a new one.
    let server = Server::start((0..STORM).map(|_| vec![Act::serve("fine")]));
    let (manager, helper) = spawn(chatgpt(&server));
    for n in 0..100_u64 {
        let gone = manager.submit_task(helper, "cancelled").unwrap();
        let kept = manager.submit_task(helper, "kept").unwrap();
        // A different moment each time; what it hits is up to chance, what follows is not.
        let until = Instant::now() + Duration::from_micros(n * 7);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        manager.cancel_task(helper, gone);
        let task = manager.wait_task(helper, kept, LONG).unwrap();
        assert_eq!(task.result.as_deref(), Some("fine"), "{n}: {:?}", task.error);
        assert_eq!(task.attempts, 1);
    }
    drop(manager);
    server.finish();
}

#[test]
fn a_call_that_found_its_kept_connection_dead_can_be_cancelled_too() {
    // The first connection answers once and dies under the second request, which is then
    // tried again on a connection of its own.
    let mut dying = answers("first");
    dying.push(Act::read());
    let (hold, meeting) = Act::meet();
    let (close, closed) = Act::await_close();
    let server = Server::start([dying, vec![Act::read(), hold, close], answers("next")]);
    let (manager, helper) = spawn(chatgpt(&server).max_retries(1));
    assert_eq!(ask(&manager, helper, "first").result.as_deref(), Some("first"));
    cancel_in_the_middle(&manager, helper, TaskRequest::new("p"), &meeting);
    meeting.go();
    closed.recv_timeout(LONG).expect("the cancelled connection is closed");
    drop(manager);
    assert_eq!(server.finish().len(), 4);
}

#[test]
fn text_that_a_server_sent_is_kept_by_a_cancel_a_stop_and_a_timeout() {
    let (cancel, stop, wait) = (Some(true), Some(false), None);
    for (ended_by, kind) in
        [(cancel, ErrorKind::Cancelled), (stop, ErrorKind::Cancelled), (wait, ErrorKind::Timeout)]
    {
        let (hold, meeting) = Act::meet();
        let ten_words = Act::write(delta("ten words"));
        let server = Server::start([vec![Act::read(), Act::stream_head(), ten_words, hold]]);
        let (manager, helper) = spawn(chatgpt(&server));
        let (send, text) = channel();
        let request = TaskRequest::new("p").on_text(move |delta| {
            send.send(delta.to_owned()).unwrap();
        });
        let time = if ended_by.is_none() { Duration::from_secs(1) } else { LONG };
        let task = manager.submit_task(helper, request.timeout(time)).unwrap();
        assert_eq!(text.recv_timeout(LONG).unwrap(), "ten words");
        let helper = manager.get_helper(helper).unwrap();
        match ended_by {
            Some(true) => assert!(helper.cancel_task(task)),
            Some(false) => helper.stop(),
            None => {}
        }
        let ended = helper.wait_task(task, LONG).unwrap();
        let error = failure(&ended);
        assert_eq!((error.kind(), error.partial()), (kind, Some("ten words")));
        meeting.go();
    }
}
