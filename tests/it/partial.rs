//! Text that a backend has sent is never thrown away, whatever ends its task.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use automation_assistant::{
    AiBackend, AutomationHelper, CallContext, ErrorKind, HelperConfig, Reply, TaskError,
    TaskRequest,
};

use crate::support::{FnBackend, LONG, echo};

/// Sends two deltas, says so, and then does what its prompt says.
struct Sends(Mutex<Sender<()>>);

impl AiBackend for Sends {
    fn name(&self) -> &str {
        "Sends"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        if call.prompt() == "says nothing" {
            return Err(TaskError::new(ErrorKind::Server, "planted"));
        }
        call.send_text("one ")?;
        call.send_text("two")?;
        self.0.lock().unwrap().send(()).unwrap();
        match call.prompt() {
            "waits" => call.pause(LONG).map(|()| Reply::new("waited in vain")),
            "ignores its time" => {
                call.cancel().wait(LONG);
                Ok(Reply::new("too late"))
            }
            "fails" => Err(TaskError::new(ErrorKind::Server, "planted")),
            "knows better" => {
                Err(TaskError::new(ErrorKind::Server, "planted").with_partial("one two thr"))
            }
            "panics" => panic!("planted"),
            "tries again" => {
                call.begin_attempt();
                call.send_text("one two three")?;
                Err(TaskError::new(ErrorKind::Server, "planted"))
            }
            _ => Ok(Reply::new("x".repeat(100))),
        }
    }
}

/// Ends the task, once its text was sent.
type EndedBy = fn(&AutomationHelper, automation_assistant::TaskId);

#[test]
fn text_that_was_sent_is_kept_whatever_ends_the_task() {
    let nobody: EndedBy = |_, _| {};
    let cancel: EndedBy = |helper, task| assert!(helper.cancel_task(task));
    let stop: EndedBy = |helper, _| helper.stop();
    let short = Duration::from_millis(50);
    let rows: [(&str, Duration, EndedBy, ErrorKind, &str); 8] = [
        ("waits", LONG, cancel, ErrorKind::Cancelled, "one two"),
        ("waits", LONG, stop, ErrorKind::Cancelled, "one two"),
        ("waits", short, nobody, ErrorKind::Timeout, "one two"),
        ("ignores its time", short, nobody, ErrorKind::Timeout, "one two"),
        ("fails", LONG, nobody, ErrorKind::Server, "one two"),
        ("knows better", LONG, nobody, ErrorKind::Server, "one two thr"),
        ("panics", LONG, nobody, ErrorKind::Panicked, "one two"),
        ("is too long", LONG, nobody, ErrorKind::ResponseTooLarge, "one two"),
    ];
    for (prompt, timeout, ended_by, kind, partial) in rows {
        for listens in [true, false] {
            let (sent, text_is_there) = channel();
            let config = HelperConfig::local().max_reply_bytes(50);
            let helper = AutomationHelper::builder(config).backend(Sends(Mutex::new(sent)));
            let helper = helper.build().unwrap();
            helper.start().unwrap();
            let mut request = TaskRequest::new(prompt).timeout(timeout);
            if listens {
                request = request.on_text(|_| ());
            }
            let task = helper.submit_task(request).unwrap();
            text_is_there.recv_timeout(LONG).unwrap();
            ended_by(&helper, task);
            let error = helper.wait_task(task, LONG).unwrap().error.unwrap();
            assert_eq!((error.kind(), error.partial()), (kind, Some(partial)), "{prompt}");
            // The next task of the same thread begins with nothing.
            if let Ok(next) = helper.ask("says nothing") {
                assert_eq!(next.error.unwrap().partial(), None, "{prompt}");
            }
        }
    }
}

#[test]
fn a_second_call_sends_its_text_anew_unless_the_first_ones_was_delivered() {
    for (listens, partial) in [(false, "one two three"), (true, "one twoone two three")] {
        let (sent, _text_is_there) = channel();
        let helper = AutomationHelper::builder(HelperConfig::local())
            .backend(Sends(Mutex::new(sent)))
            .build()
            .unwrap();
        helper.start().unwrap();
        let request = TaskRequest::new("tries again");
        let request = if listens { request.on_text(|_| ()) } else { request };
        let error = helper.ask(request).unwrap().error.unwrap();
        assert_eq!(error.partial(), Some(partial));
    }
}

#[test]
fn a_callback_that_breaks_off_or_panics_has_had_the_text_it_got() {
    let helper = echo(HelperConfig::local());
    let text = "Local Response: Echo of 'x'";
    let broken = helper.ask(TaskRequest::new("x").on_text_control(|_| ControlFlow::Break(())));
    let error = broken.unwrap().error.unwrap();
    assert_eq!((error.kind(), error.partial()), (ErrorKind::Cancelled, Some(text)));
    let panicked = helper.ask(TaskRequest::new("x").on_text(|_| panic!("planted")));
    let error = panicked.unwrap().error.unwrap();
    assert_eq!((error.kind(), error.partial()), (ErrorKind::Panicked, Some(text)));
    assert!(error.summary().contains("on_text callback"), "{error}");
}

/// Sends its prompt as reasoning.
struct Reasons;

impl AiBackend for Reasons {
    fn name(&self) -> &str {
        "Reasons"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        call.send_reasoning(call.prompt());
        Ok(Reply::new("done"))
    }
}

#[test]
fn a_panic_in_on_reasoning_is_reported_as_its_own() {
    let helper = AutomationHelper::builder(HelperConfig::local()).backend(Reasons).build().unwrap();
    helper.start().unwrap();
    let request = TaskRequest::new("x").on_reasoning(|_| panic!("planted"));
    let error = helper.ask(request).unwrap().error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.summary().contains("on_reasoning callback"), "{error}");
}

#[test]
fn of_text_beyond_the_limit_on_replies_the_beginning_is_kept_without_a_gap() {
    for (deltas, partial) in [
        (&["8 bytes.", "xyz", "a", "b"][..], "8 bytes.xy"),
        (&["10 bytes..", "a"], "10 bytes.."),
        (&["9 bytes..", "ä", "a"], "9 bytes.."),
    ] {
        let backend = FnBackend(move |call: &CallContext<'_>| {
            for delta in deltas {
                // A backend that sends on, whatever the library says.
                let _ = call.send_text(delta);
            }
            Err(TaskError::new(ErrorKind::Server, "planted"))
        });
        let config = HelperConfig::local().max_reply_bytes(10);
        let helper = AutomationHelper::builder(config).backend(backend).build().unwrap();
        helper.start().unwrap();
        for _ in 0..2 {
            let error = helper.ask("x").unwrap().error.unwrap();
            assert_eq!(error.partial(), Some(partial), "{deltas:?}");
        }
    }
}
