//! Memory of the whole process: alone in its binary, for other tests would be counted, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]
#![allow(clippy::print_stdout)]

mod support;

use automation_assistant::device::DeviceReader;
use automation_assistant::{ErrorKind, TaskRequest};
use support::{Helper, backend, config};

/// Memory in use, in KiB.
fn resident_kib() -> u64 {
    DeviceReader::new().process().value().unwrap().resident_bytes >> 10
}

#[test]
fn helpers_share_the_weights_and_two_hundred_tasks_leave_nothing() {
    let request = |at: usize| {
        // Of every kind, ends that are no answers included.
        let request = TaskRequest::new(format!("Say the number {at}.")).max_output_tokens(2);
        match at % 4 {
            0 => request.reply_schema("number", serde_json::json!({"type": "integer"})),
            1 => request.custom_param("temperature", 1.0),
            2 => request.on_text_control(|_| std::ops::ControlFlow::Break(())),
            _ => request,
        }
    };
    let first = Helper::new(config(), backend());
    let second = Helper::new(config(), backend());
    let run = |from: usize, to: usize| {
        for at in from..to {
            let helper = if at % 8 < 4 { &first } else { &second };
            let task = helper.ask(request(at));
            let cancelled = task.error.as_ref().map(|error| error.kind());
            assert_eq!(cancelled, (at % 4 == 2).then_some(ErrorKind::Cancelled), "{at}");
        }
    };
    // Everything that is made once is made: contexts, the vocabulary's constraint, pages touched.
    run(0, 40);
    let before = resident_kib();
    run(40, 240);
    let after = resident_kib();
    println!("{before} KiB before, {after} KiB after 200 tasks");
    /// The allocator's own to and fro.
    const SLACK_KIB: u64 = 2048;
    assert!(after < before + SLACK_KIB, "{before} KiB before, {after} KiB after");

    // Two more contexts at once, and no second copy of 94 MiB of weights.
    let third = Helper::new(config(), backend());
    let ids: Vec<_> = [&first, &second, &third]
        .map(|helper| helper.manager.submit_task(helper.id, "Tell me a story.").unwrap())
        .into_iter()
        .collect();
    for (helper, id) in [&first, &second, &third].into_iter().zip(ids) {
        helper.manager.cancel_task(helper.id, id);
    }
    let at_once = resident_kib();
    assert!(at_once < after + (80 << 10), "{after} KiB, {at_once} KiB with three at once");
}
