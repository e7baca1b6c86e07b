//! Tests of NumberQueue, of the bounds, and of the traces that removed tasks leave.

use super::*;
use crate::id::{HelperId, TaskId};
use crate::task::Priority;

fn queued(prompt: &str, priority: Priority) -> Queued {
    Queued {
        request: TaskRequest::new(prompt).priority(priority),
        image_bytes: 0,
        created_at: SystemTime::UNIX_EPOCH,
        submitted: Instant::now(),
        deadline: None,
    }
}

fn finished(number: u64) -> Task {
    Task {
        echoed: false,
        task_id: TaskId::new("00000001".parse::<HelperId>().unwrap(), number),
        helper_id: "00000001".parse().unwrap(),
        prompt: String::new(),
        context: serde_json::Map::new(),
        created_at: SystemTime::UNIX_EPOCH,
        completed_at: None,
        result: Some(String::new()),
        error: None,
        model: None,
        usage: None,
        cost: None,
        finish_reason: None,
        api: None,
        attempts: 1,
        queue_ms: 0.0,
        latency_ms: 0.0,
    }
}

fn finish_one(store: &mut Store) -> u64 {
    store.insert(queued("x", Priority::Normal));
    let (number, _) = store.take_next().unwrap();
    store.publish(number, finished(number), 10);
    number
}

#[test]
fn a_cancelled_task_leaves_no_trace_in_its_lane() {
    let mut store = Store::default();
    let numbers: Vec<_> =
        (0..5).map(|n| store.insert(queued(&n.to_string(), Priority::Normal))).collect();
    for gone in [numbers[2], numbers[0], numbers[4]] {
        assert!(store.claim_queued(gone).is_some());
        assert!(store.claim_queued(gone).is_none());
    }
    assert_eq!(store.queued(), 2);
    assert_eq!(store.take_next().unwrap().0, numbers[1]);
    assert_eq!(store.take_next().unwrap().0, numbers[3]);
    assert!(store.take_next().is_none());
}

#[test]
fn read_results_go_before_unread_ones_and_the_oldest_first() {
    let mut store = Store::default();
    let numbers: Vec<_> = (0..4).map(|_| finish_one(&mut store)).collect();
    store.read(numbers[2]).unwrap();
    store.read(numbers[1]).unwrap();
    let gone: Vec<_> = std::iter::from_fn(|| store.evict(1, usize::MAX, true))
        .map(|(task, unread)| (task.task_id.number(), unread))
        .collect();
    assert_eq!(gone, [(numbers[2], false), (numbers[1], false), (numbers[0], true)]);
    assert!(store.was_dropped(numbers[0]) && store.phase(numbers[0]).is_none());
    assert!(!store.was_dropped(99) && store.phase(99).is_none());
    assert!(store.phase(numbers[3]).is_some());
}

#[test]
fn the_byte_bound_spares_the_newest_result() {
    let mut store = Store::default();
    finish_one(&mut store);
    assert!(store.evict(9, 5, true).is_none());
    finish_one(&mut store);
    assert!(store.evict(9, 5, true).is_some());
    assert_eq!(store.kept(), 1);
}

#[test]
fn a_deadline_is_over_at_its_own_moment_and_not_before() {
    let mut store = Store::default();
    let (now, tick) = (Instant::now(), Duration::from_nanos(1));
    let mut late = queued("late", Priority::Normal);
    late.deadline = Some(now + tick);
    let late = store.insert(late);
    let endless = store.insert(queued("endless", Priority::Normal));
    assert_eq!(store.next_expiry(), Some(now + tick));
    let expired = |store: &mut Store, by| {
        let mut numbers = Vec::new();
        store.expired(by, &mut numbers);
        numbers
    };
    assert!(expired(&mut store, Some(now)).is_empty());
    for _ in 0..2 {
        assert_eq!(expired(&mut store, Some(now + tick)), [late], "until somebody claims it");
    }
    assert_eq!(expired(&mut store, None), [late, endless]);
    assert!(store.claim_queued(late).is_some());
    assert!(expired(&mut store, Some(now + tick)).is_empty());
    assert_eq!(expired(&mut store, None), [endless]);
    assert_eq!((store.next_expiry(), store.queued()), (None, 1));
}

#[test]
fn a_result_taken_before_others_were_dropped_is_unknown() {
    let mut store = Store::default();
    let taken = finish_one(&mut store);
    store.remove(taken).unwrap();
    for _ in 0..4 {
        finish_one(&mut store);
        store.evict(1, usize::MAX, true);
    }
    assert!(!store.was_dropped(taken));
    assert!(store.was_dropped(taken + 1));
}

#[test]
fn slots_are_used_again_and_bytes_come_back_to_zero() {
    let mut store = Store::default();
    for _ in 0..100 {
        let number = finish_one(&mut store);
        store.read(number);
        store.remove(number).unwrap();
    }
    assert_eq!((store.tasks.slots(), store.kept_bytes, store.unread_bytes), (1, 0, 0));
    for _ in 0..3 {
        finish_one(&mut store);
    }
    assert_eq!(store.clear().len(), 3);
    assert_eq!((store.kept(), store.kept_bytes, store.unread_bytes), (0, 0, 0));
}
