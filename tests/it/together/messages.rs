//! Results that travel to another helper.

use super::*;

#[test]
fn a_result_travels_to_another_helper_s_inbox() {
    let manager = manager();
    let sender = echo(&manager, "sender");
    let receiver = spawn(&manager, "receiver", |call| {
        let inbox = call.request().get_context().get("inbox").cloned();
        Ok(Reply::new(inbox.unwrap_or_default().to_string()))
    });
    let run = |helper, prompt: &str| {
        let id = manager.submit_task(helper, prompt).unwrap();
        manager.wait_task(helper, id, LONG).unwrap();
        id
    };
    let task = run(sender, "news");
    manager.send_result(sender, task, receiver).unwrap();
    let read = run(receiver, "read");
    let text = manager.get_task_result(receiver, read).unwrap().result.unwrap();
    assert_eq!(text, r#"[{"from":"sender","text":"sender: news"}]"#);
    let empty = run(receiver, "read");
    assert_eq!(manager.get_task_result(receiver, empty).unwrap().result.unwrap(), "null");
    let mut sent = 0;
    let full = loop {
        match manager.send_result(sender, task, receiver) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::InboxFull));
    assert_eq!(sent, automation_assistant::INBOX_MESSAGES_MAX);
}

#[test]
fn messages_come_from_results_alone_and_reach_a_task_that_takes_them() {
    let manager = manager();
    let (to, broken) = (echo(&manager, "to"), failing(&manager, ErrorKind::Server));
    let run = |helper, request: TaskRequest| {
        let id = manager.submit_task(helper, request).unwrap();
        manager.wait_task(helper, id, LONG).unwrap()
    };
    // A failure, a task that has not ended, strangers, and more than an inbox holds.
    let failed = run(broken, "x".into()).task_id;
    let refused = manager.send_result(broken, failed, to).unwrap_err();
    assert!(refused.to_string().contains("failed"), "{refused}");
    let (slow, begun) = slow(&manager);
    let running = manager.submit_task(slow, "x").unwrap();
    begun.recv_timeout(LONG).unwrap();
    let refused = manager.send_result(slow, running, to).unwrap_err();
    assert!(refused.to_string().contains("wait for it"), "{refused}");
    assert!(manager.cancel_task(slow, running));
    assert!(matches!(manager.send_result(to, failed, to), Err(Error::UnknownTask(_))));
    let good = run(to, "news".into()).task_id;
    let gone = slow;
    manager.terminate_helper(gone).unwrap();
    assert!(matches!(manager.send_result(to, good, gone), Err(Error::UnknownHelper(_))));
    assert!(matches!(manager.send_result(gone, running, to), Err(Error::UnknownHelper(_))));
    let bytes = automation_assistant::INBOX_BYTES_MAX + 1;
    let long = spawn(&manager, "long", move |_| Ok(Reply::new("x".repeat(bytes))));
    let long_result = run(long, "x".into()).task_id;
    let refused = manager.send_result(long, long_result, to).unwrap_err();
    assert!(refused.to_string().contains("INBOX_BYTES_MAX"), "{refused}");
    // A context of the caller's own under that name stays, and so does the message.
    manager.send_result(to, good, to).unwrap();
    let own = run(to, TaskRequest::new("y").context("inbox", "mine"));
    assert_eq!(own.context["inbox"], "mine");
    let taken = run(to, "z".into());
    assert_eq!(taken.context["inbox"][0]["text"], "to: news");
    // It went to a task that panicked, and to no other.
    let panics = panicking(&manager);
    manager.send_result(to, good, panics).unwrap();
    assert!(run(panics, "x".into()).context.contains_key("inbox"));
    assert!(!run(panics, "x".into()).context.contains_key("inbox"));
}
