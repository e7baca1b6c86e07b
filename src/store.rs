//! The tasks of one helper, from submission to the end: the data behind the mutex.
//!
//! Nodes live in a slab and are chained into lists (three lanes of queued tasks, finished
//! tasks unread and read), so that every operation is O(1) and, in a steady state, free of
//! allocation. Knows no thread, no lock and no clock but the instants it is given.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant, SystemTime};

use crate::foreign::Foreign;
use crate::queue::{LANES, LaneChoice, lane_of};
use crate::sync::earlier;
use crate::task::{OnDone, Task, TaskRequest, Usage};
use crate::task_error::TaskError;

/// How many numbers of dropped results are remembered, so that a wait for one is told so.
const DROPPED_REMEMBERED: usize = 1024;

/// No node: the end of a list.
const NIL: u32 = u32::MAX;

/// A task that waits.
pub(crate) struct Queued {
    pub(crate) request: TaskRequest,
    pub(crate) created_at: SystemTime,
    pub(crate) submitted: Instant,
    pub(crate) deadline: Option<Instant>,
}

/// A task that a thread works on. Its request lies with the thread.
pub(crate) struct Running {
    pub(crate) slot: usize,
    pub(crate) created_at: SystemTime,
    pub(crate) queue_time: Duration,
    pub(crate) began: Instant,
    pub(crate) deadline: Option<Instant>,
    /// The task's own deadline before suspended time is taken off it; nothing where that does
    /// not count.
    pub(crate) own_deadline: Option<Instant>,
    pub(crate) on_done: Option<Foreign<OnDone>>,
    /// When the call begun last began; nothing between calls.
    pub(crate) attempt_open: Option<Instant>,
    pub(crate) attempts: u32,
    pub(crate) unreported: Option<Unreported>,
    /// Its thread is just reporting a call to the observers. Whoever wants to end the task
    /// meanwhile leaves the reason in `end_with`, and the thread ends it.
    pub(crate) reporting: bool,
    pub(crate) end_with: Option<TaskError>,
}

/// A call that went well and was the task's last: it is reported with the task's end, which is
/// about to come.
pub(crate) struct Unreported {
    pub(crate) at: SystemTime,
    pub(crate) latency: Duration,
    pub(crate) http_status: Option<u16>,
    pub(crate) usage: Option<Usage>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) waited: Option<Duration>,
}

/// Where a task is.
pub(crate) enum Phase {
    Queued(Queued),
    Running(Running),
    /// Somebody has claimed its end and notifies the observers.
    Ending,
    Finished {
        task: Task,
        bytes: usize,
        read: bool,
    },
    Free,
}

struct Node {
    number: u64,
    phase: Phase,
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    len: usize,
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };
}

/// Task numbers count up, so spreading them is all the hashing they need.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

/// Odd, with its bits spread: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Not asked for by numbers, which come whole.
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0.wrapping_add(u64::from(byte)));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(SPREAD);
    }
}

/// What a number leads to.
pub(crate) enum Lookup<'a> {
    Found(&'a mut Phase),
    /// The result had to make room.
    Dropped,
    /// Never submitted, taken, or cleared.
    Unknown,
}

/// What a helper keeps of its tasks.
pub(crate) struct Store {
    index: HashMap<u64, u32, BuildHasherDefault<NumberHasher>>,
    nodes: Vec<Node>,
    free: Vec<u32>,
    lanes: [List; LANES],
    choice: LaneChoice,
    unread: List,
    read: List,
    kept_bytes: usize,
    unread_bytes: usize,
    last_number: u64,
    dropped: VecDeque<u64>,
    /// Dropped numbers up to this one are no longer remembered one by one.
    dropped_forgotten: u64,
    /// No queued task's deadline is before this.
    next_expiry: Option<Instant>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            index: HashMap::default(),
            nodes: Vec::new(),
            free: Vec::new(),
            lanes: [List::EMPTY; LANES],
            choice: LaneChoice::default(),
            unread: List::EMPTY,
            read: List::EMPTY,
            kept_bytes: 0,
            unread_bytes: 0,
            last_number: 0,
            dropped: VecDeque::new(),
            dropped_forgotten: 0,
            next_expiry: None,
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.lanes.iter().map(|lane| lane.len).sum()
    }

    /// Tasks that have no readable outcome yet: queued, running, or just being ended.
    pub(crate) fn unfinished(&self) -> usize {
        self.index.len() - self.kept()
    }

    pub(crate) fn kept(&self) -> usize {
        self.unread.len + self.read.len
    }

    pub(crate) fn unread(&self) -> usize {
        self.unread.len
    }

    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread_bytes
    }

    fn list(&mut self, which: Which) -> &mut List {
        match which {
            Which::Lane(lane) => &mut self.lanes[lane],
            Which::Unread => &mut self.unread,
            Which::Read => &mut self.read,
        }
    }

    fn push_back(&mut self, which: Which, at: u32) {
        let list = self.list(which);
        let tail = list.tail;
        list.tail = at;
        list.len += 1;
        if tail == NIL {
            list.head = at;
        } else {
            self.nodes[tail as usize].next = at;
        }
        let node = &mut self.nodes[at as usize];
        node.prev = tail;
        node.next = NIL;
    }

    fn unlink(&mut self, which: Which, at: u32) {
        let node = &self.nodes[at as usize];
        let (prev, next) = (node.prev, node.next);
        if prev != NIL {
            self.nodes[prev as usize].next = next;
        }
        if next != NIL {
            self.nodes[next as usize].prev = prev;
        }
        let list = self.list(which);
        if prev == NIL {
            list.head = next;
        }
        if next == NIL {
            list.tail = prev;
        }
        list.len -= 1;
    }

    /// Takes in a task; the number is its name here. Capacity is the caller's to check.
    pub(crate) fn insert(&mut self, queued: Queued) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let lane = lane_of(queued.request.priority);
        if let Some(deadline) = queued.deadline {
            self.next_expiry = earlier(self.next_expiry, Some(deadline));
        }
        let node = Node { number, phase: Phase::Queued(queued), prev: NIL, next: NIL };
        let at = match self.free.pop() {
            Some(at) => {
                self.nodes[at as usize] = node;
                at
            }
            None => {
                // A helper with one task at a time needs one node, not the four that a list
                // begins with.
                if self.nodes.is_empty() {
                    self.nodes.reserve_exact(1);
                }
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        self.index.insert(number, at);
        self.push_back(Which::Lane(lane), at);
        number
    }

    pub(crate) fn look(&mut self, number: u64) -> Lookup<'_> {
        if let Some(&at) = self.index.get(&number) {
            return Lookup::Found(&mut self.nodes[at as usize].phase);
        }
        let dropped =
            (number > 0 && number <= self.dropped_forgotten) || self.dropped.contains(&number);
        if dropped { Lookup::Dropped } else { Lookup::Unknown }
    }

    pub(crate) fn phase(&mut self, number: u64) -> Option<&mut Phase> {
        let at = *self.index.get(&number)?;
        Some(&mut self.nodes[at as usize].phase)
    }

    /// The next task by lane and order, claimed: its phase is `Ending` until the caller puts
    /// it to work or ends it.
    pub(crate) fn take_next(&mut self) -> Option<(u64, Queued)> {
        let waiting = [self.lanes[0].len, self.lanes[1].len, self.lanes[2].len];
        let lane = self.choice.next(waiting)?;
        let at = self.lanes[lane].head;
        let number = self.nodes[at as usize].number;
        self.claim_queued(number).map(|queued| (number, queued))
    }

    /// Takes a waiting task out of its lane; its phase is `Ending` then.
    pub(crate) fn claim_queued(&mut self, number: u64) -> Option<Queued> {
        let at = *self.index.get(&number)?;
        let phase = &mut self.nodes[at as usize].phase;
        let Phase::Queued(queued) = phase else { return None };
        let lane = lane_of(queued.request.priority);
        let Phase::Queued(queued) = std::mem::replace(phase, Phase::Ending) else { return None };
        self.unlink(Which::Lane(lane), at);
        Some(queued)
    }

    /// Marks a claimed task as running.
    pub(crate) fn set_running(&mut self, number: u64, running: Running) {
        if let Some(phase) = self.phase(number) {
            *phase = Phase::Running(running);
        }
    }

    /// Claims the end of a running task.
    pub(crate) fn claim_running(&mut self, number: u64) -> Option<Running> {
        let phase = self.phase(number)?;
        if !matches!(phase, Phase::Running(_)) {
            return None;
        }
        match std::mem::replace(phase, Phase::Ending) {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    /// Makes a claimed task's outcome readable.
    pub(crate) fn publish(&mut self, number: u64, task: Task, bytes: usize) {
        let Some(&at) = self.index.get(&number) else { return };
        self.nodes[at as usize].phase = Phase::Finished { task, bytes, read: false };
        self.kept_bytes += bytes;
        self.unread_bytes += bytes;
        self.push_back(Which::Unread, at);
    }

    /// A copy of a finished task, which counts as read from now on.
    pub(crate) fn read(&mut self, number: u64) -> Option<Task> {
        let at = *self.index.get(&number)?;
        let Phase::Finished { task, bytes, read } = &mut self.nodes[at as usize].phase else {
            return None;
        };
        let copy = task.clone();
        let (first_time, bytes) = (!std::mem::replace(read, true), *bytes);
        if first_time {
            self.unread_bytes -= bytes;
            self.unlink(Which::Unread, at);
            self.push_back(Which::Read, at);
        }
        Some(copy)
    }

    /// Takes a finished task out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Task> {
        let at = *self.index.get(&number)?;
        if !matches!(self.nodes[at as usize].phase, Phase::Finished { .. }) {
            return None;
        }
        self.release(at).map(|(task, _)| task)
    }

    /// Frees a finished node; tells whether its task had been read.
    fn release(&mut self, at: u32) -> Option<(Task, bool)> {
        let node = &mut self.nodes[at as usize];
        let number = node.number;
        let Phase::Finished { task, bytes, read } = std::mem::replace(&mut node.phase, Phase::Free)
        else {
            return None;
        };
        self.kept_bytes -= bytes;
        if !read {
            self.unread_bytes -= bytes;
        }
        self.unlink(if read { Which::Read } else { Which::Unread }, at);
        self.index.remove(&number);
        self.free.push(at);
        Some((task, read))
    }

    /// One result over the bounds, taken out: one already read first, oldest first; then the
    /// oldest unread, if those may go. The newest stays whatever its size. `true`: nobody had
    /// read it.
    pub(crate) fn evict(
        &mut self,
        tasks_max: usize,
        bytes_max: usize,
        unread_too: bool,
    ) -> Option<(Task, bool)> {
        let kept = self.kept();
        if kept <= tasks_max && (self.kept_bytes <= bytes_max || kept <= 1) {
            return None;
        }
        if self.read.len == 0 && !unread_too {
            return None;
        }
        let at = if self.read.len > 0 { self.read.head } else { self.unread.head };
        let (task, read) = self.release(at)?;
        if self.dropped.len() >= DROPPED_REMEMBERED {
            if let Some(oldest) = self.dropped.pop_front() {
                self.dropped_forgotten = self.dropped_forgotten.max(oldest);
            }
        }
        self.dropped.push_back(task.task_id.number());
        Some((task, !read))
    }

    /// Takes out every finished task.
    pub(crate) fn clear(&mut self) -> Vec<Task> {
        let mut tasks = Vec::with_capacity(self.kept());
        for which in [Which::Unread, Which::Read] {
            while self.list(which).len > 0 {
                let at = self.list(which).head;
                if let Some((task, _)) = self.release(at) {
                    tasks.push(task);
                }
            }
        }
        tasks
    }

    /// The earliest deadline among queued tasks, or an earlier moment.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry
    }

    /// The queued tasks whose deadline is over.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<u64> {
        if self.next_expiry.is_none_or(|expiry| expiry > now) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        self.next_expiry = None;
        for lane in 0..LANES {
            let mut at = self.lanes[lane].head;
            while at != NIL {
                let node = &self.nodes[at as usize];
                at = node.next;
                let Phase::Queued(queued) = &node.phase else { continue };
                self.next_expiry = earlier(self.next_expiry, queued.deadline);
                if queued.deadline.is_some_and(|deadline| deadline <= now) {
                    expired.push(node.number);
                }
            }
        }
        expired
    }
}

#[derive(Clone, Copy)]
enum Which {
    Lane(usize),
    Unread,
    Read,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{HelperId, TaskId};
    use crate::task::Priority;

    fn queued(prompt: &str, priority: Priority) -> Queued {
        Queued {
            request: TaskRequest::new(prompt).priority(priority),
            created_at: SystemTime::UNIX_EPOCH,
            submitted: Instant::now(),
            deadline: None,
        }
    }

    fn finished(number: u64) -> Task {
        Task {
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
        let mut store = Store::new();
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
        let mut store = Store::new();
        let numbers: Vec<_> = (0..4).map(|_| finish_one(&mut store)).collect();
        store.read(numbers[2]).unwrap();
        store.read(numbers[1]).unwrap();
        let gone: Vec<_> = std::iter::from_fn(|| store.evict(1, usize::MAX, true))
            .map(|(task, unread)| (task.task_id.number(), unread))
            .collect();
        assert_eq!(gone, [(numbers[2], false), (numbers[1], false), (numbers[0], true)]);
        assert!(matches!(store.look(numbers[0]), Lookup::Dropped));
        assert!(matches!(store.look(99), Lookup::Unknown));
        assert!(matches!(store.look(numbers[3]), Lookup::Found(_)));
    }

    #[test]
    fn the_byte_bound_spares_the_newest_result() {
        let mut store = Store::new();
        finish_one(&mut store);
        assert!(store.evict(9, 5, true).is_none());
        finish_one(&mut store);
        assert!(store.evict(9, 5, true).is_some());
        assert_eq!(store.kept(), 1);
    }

    #[test]
    fn numbers_are_spread_over_the_index() {
        use std::hash::BuildHasher;

        let build = BuildHasherDefault::<NumberHasher>::default();
        // What the map looks at first: its bucket by the lowest bits, its tag by the highest.
        let hashes: Vec<_> = (1..=64_u64).map(|number| build.hash_one(number)).collect();
        let distinct = |part: fn(&u64) -> u64| {
            hashes.iter().map(part).collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(distinct(|hash| hash & 63), 64);
        assert!(distinct(|hash| hash >> 57) > 32);
        assert_ne!(build.hash_one("one"), build.hash_one("two"));
    }

    #[test]
    fn a_deadline_is_over_at_its_own_moment_and_not_before() {
        let mut store = Store::new();
        let (now, tick) = (Instant::now(), Duration::from_nanos(1));
        let mut late = queued("late", Priority::Normal);
        late.deadline = Some(now + tick);
        let late = store.insert(late);
        store.insert(queued("endless", Priority::Normal));
        assert_eq!(store.next_expiry(), Some(now + tick));
        assert!(store.expired(now).is_empty());
        for _ in 0..2 {
            assert_eq!(store.expired(now + tick), [late], "until somebody claims it");
        }
        assert!(store.claim_queued(late).is_some());
        assert!(store.expired(now + tick).is_empty());
        assert_eq!((store.next_expiry(), store.queued()), (None, 1));
    }

    #[test]
    fn a_result_taken_before_others_were_dropped_is_unknown() {
        let mut store = Store::new();
        let taken = finish_one(&mut store);
        store.remove(taken).unwrap();
        for _ in 0..4 {
            finish_one(&mut store);
            store.evict(1, usize::MAX, true);
        }
        assert!(matches!(store.look(taken), Lookup::Unknown));
        assert!(matches!(store.look(taken + 1), Lookup::Dropped));
    }

    #[test]
    fn slots_are_used_again_and_bytes_come_back_to_zero() {
        let mut store = Store::new();
        for _ in 0..100 {
            let number = finish_one(&mut store);
            store.read(number);
            store.remove(number).unwrap();
        }
        assert_eq!((store.nodes.len(), store.kept_bytes, store.unread_bytes), (1, 0, 0));
        for _ in 0..3 {
            finish_one(&mut store);
        }
        assert_eq!(store.clear().len(), 3);
        assert_eq!((store.kept(), store.kept_bytes, store.unread_bytes), (0, 0, 0));
    }
}
