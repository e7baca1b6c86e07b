//! The loop of a worker.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::held::{Arrived, Capacity, Ending, Held, Message, Slots, waker};
use super::waking::Waking;
use super::{Phase, Worker, WorkerReport};
use crate::engine::{End, Exchange, Exchanged, Hold, Notify, Recover, Renewed};
use crate::error::Error;
use crate::id::JobId;
use crate::stop::Stop;

/// Parts of a lease: it is renewed each third.
const RENEWALS_PER_LEASE: u32 = 3;
/// Pauses between calls to a queue that does not answer: from, to.
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// Time between two looks of a worker that only waits for others to report.
const REPORTS_POLL: Duration = Duration::from_millis(200);
/// Longest sleep of a worker: it looks whether its helpers are there.
pub(super) const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A worker that runs.
pub(super) struct Run<'m> {
    pub(super) worker: Worker<'m>,
    tools: Vec<String>,
    pub(super) slots: Slots,
    pub(super) sender: Sender<Message>,
    inbox: Receiver<Message>,
    pub(super) held: HashMap<JobId, Held>,
    /// Jobs of the last answer, which begin while a server works on the next one.
    pub(super) arrived: Vec<Arrived>,
    pub(super) endings: Vec<Ending>,
    /// Outcomes reported to the owner, which the queue does not know of yet.
    pub(super) reported: Vec<JobId>,
    /// Outcomes of others, to be reported by this worker.
    pub(super) adopted: VecDeque<JobId>,
    /// Whether outcomes of others were asked for before in this run.
    pub(super) has_adopted: bool,
    /// The panic of the owner's callback, which ends the run.
    pub(super) panic: Option<Box<dyn Any + Send>>,
    recover: Recover,
    /// Whether the engine wakes the worker.
    pub(super) woken: bool,
    pub(super) maybe_work: bool,
    renew_at: Instant,
    /// When to look for work again without being woken.
    look_at: Option<Instant>,
    retry: Duration,
    adopt_at: Instant,
    reached: bool,
    /// How long the last call to the queue took.
    call: Duration,
    /// When to look whether jobs given ahead still wait.
    pub(super) hand_on_at: Option<Instant>,
    open: Option<u64>,
    unreported: u64,
    pub(super) report: WorkerReport,
}

impl<'m> Run<'m> {
    pub(super) fn new(worker: Worker<'m>) -> Self {
        let (sender, inbox) = channel();
        let woken = worker.queue.engine.subscribe(waker(sender.clone()));
        let now = Instant::now();
        Self {
            tools: worker.tools.iter().map(|tool| tool.name().to_owned()).collect(),
            slots: Slots::new(worker.manager, &worker.helpers),
            worker,
            sender,
            inbox,
            held: HashMap::new(),
            arrived: Vec::new(),
            endings: Vec::new(),
            reported: Vec::new(),
            adopted: VecDeque::new(),
            has_adopted: false,
            panic: None,
            recover: Recover::Start,
            woken,
            maybe_work: true,
            renew_at: now,
            look_at: None,
            retry: RETRY_FIRST,
            adopt_at: now,
            reached: false,
            call: Duration::ZERO,
            hand_on_at: None,
            open: None,
            unreported: 0,
            report: WorkerReport::default(),
        }
    }

    pub(super) fn run(mut self, stop: &Stop) -> Result<WorkerReport, Error> {
        let waking = Arc::new(Waking::default());
        let notify = self.on_stop(&waking);
        stop.subscribe(notify.clone());
        let ended = self.work(stop);
        stop.unsubscribe(&notify);
        let handed_back = self.hand_back();
        // A server that is away learns of it by the lease; an engine of this process has no other
        // way, and is at hand whatever its disk says.
        if handed_back.is_ok() || self.woken {
            let _ = self.worker.queue.engine.leave(&self.worker.name);
        }
        waking.end();
        if let Some(panic) = self.panic {
            std::panic::resume_unwind(panic);
        }
        ended.and(handed_back).map(|()| self.report)
    }

    /// Wakes this worker from wherever it sleeps.
    fn on_stop(&self, waking: &Arc<Waking>) -> Notify {
        let wake = waker(self.sender.clone());
        if self.woken {
            return wake;
        }
        let (engine, name) = (self.worker.queue.engine.clone(), self.worker.name.clone());
        let waking = Arc::clone(waking);
        Arc::new(move || {
            let (engine, name) = (engine.clone(), name.clone());
            // The worker may be waiting for the server. The caller of `stop` does not wait for it:
            // a thread of two short commands does. Without one the worker wakes by its poll.
            waking.begin(move || drop(engine.wake(&name)));
            wake()
        })
    }

    fn work(&mut self, stop: &Stop) -> Result<(), Error> {
        loop {
            self.drain();
            if stop.is_stopped() || self.panic.is_some() {
                return Ok(());
            }
            self.slots.look();
            if self.slots.all_gone() {
                return Err(Error::Worker("all helpers of the worker were stopped".to_owned()));
            }
            let now = Instant::now();
            match self.step(now) {
                Ok(true) => self.retry = RETRY_FIRST,
                Ok(false) => {
                    if self.is_through() {
                        return Ok(());
                    }
                    self.sleep(now);
                }
                Err(error) if error.is_passing() || self.reached => {
                    // Jobs in the lost answer are asked for again.
                    if self.recover == Recover::No {
                        self.recover = Recover::LostAnswer;
                    }
                    self.receive_for(self.retry);
                    self.retry = (self.retry * 2).min(RETRY_LAST);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn is_through(&self) -> bool {
        let idle = self.held.is_empty() && self.endings.is_empty() && self.reported.is_empty();
        // Also those of workers that died before they could report, once that shows.
        let reported = self.worker.on_outcome.is_none() || self.unreported == 0;
        self.worker.until_empty && idle && self.open == Some(0) && reported
    }

    /// Does one thing, if there is one to do.
    fn step(&mut self, now: Instant) -> Result<bool, Error> {
        if self.worker.on_outcome.is_some() && now >= self.adopt_at {
            // Jobs wait neither for the owner nor for a server that is away.
            self.start();
            self.adopt()?;
            self.adopt_at = now + self.worker.lease;
            if self.panic.is_some() {
                return Ok(true);
            }
        }
        if self.hand_on_at.is_some_and(|at| at <= now) {
            self.hand_on(now);
        }
        let (capacities, threads) = self.slots.capacities(now, self.call);
        let want = capacities.iter().map(|capacity| capacity.idle + capacity.ahead).sum();
        let looks = want > 0 && (self.maybe_work || self.look_at.is_some_and(|at| at <= now));
        let renews = !self.held.is_empty() && self.renew_at <= now;
        let reports = !self.endings.is_empty() || !self.reported.is_empty();
        if !(looks || renews || reports || self.recover != Recover::No) {
            return Ok(self.start());
        }
        // One that ended its worker before takes no more others with it than there are threads.
        let deliveries = self.held.values().map(|held| held.deliveries);
        let deliveries =
            deliveries.chain(self.arrived.iter().map(|arrived| arrived.job.deliveries));
        let again = deliveries.filter(|deliveries| *deliveries > 1).count();
        let again = threads.saturating_sub(again);
        self.exchange(if looks { want } else { 0 }, again, capacities, now)?;
        Ok(true)
    }

    /// One call to the queue. While the server works on it, jobs of the answer before begin, and
    /// tasks that have ended are taken in.
    pub(super) fn exchange(
        &mut self,
        want: usize,
        again: usize,
        capacities: Vec<Capacity>,
        now: Instant,
    ) -> Result<(), Error> {
        if !self.endings.is_empty() {
            self.phase(Phase::Recording);
        } else if want > 0 {
            self.phase(Phase::Leasing);
        }
        if self.recover != Recover::No {
            // Jobs that are not among those held would be taken for lost.
            self.start();
        }
        // Only when it is time, or where the server cannot know which of them are known here.
        let renews = self.renew_at <= now || self.recover != Recover::No;
        // Set before the call: a notification that comes meanwhile asks for both anew.
        if renews {
            self.renew_at = now + self.worker.lease / RENEWALS_PER_LEASE;
        }
        self.maybe_work &= want == 0;
        let held = self.held.values().filter(|_| renews);
        let held: Vec<Hold> = held.map(|held| held.hold).collect();
        let endings = std::mem::take(&mut self.endings);
        let reported = std::mem::take(&mut self.reported);
        let ends: Vec<End> = endings.iter().map(|ending| ending.end.clone()).collect();
        let (engine, tools) = (self.worker.queue.engine.clone(), self.tools.clone());
        let name = self.worker.name.clone();
        let called = Instant::now();
        let ask = Exchange {
            worker: &name,
            lease: self.worker.lease,
            ends: &ends,
            held: &held,
            reported: &reported,
            want,
            again,
            tools: &tools,
            recover: self.recover,
            report: self.worker.on_outcome.is_some(),
        };
        let answer = engine.exchange_while(&ask, &mut || {
            self.start();
            self.drain();
        });
        // Where the call failed before it came to that.
        self.start();
        let mut out = match answer {
            Ok(out) => out,
            Err(error) => {
                self.endings.splice(..0, endings);
                self.reported.splice(..0, reported);
                self.maybe_work |= want > 0;
                return Err(error);
            }
        };
        self.reached = true;
        self.call = called.elapsed();
        if ask.report && called.elapsed() > self.worker.lease / 2 {
            // The answer was long under way, or this process was stopped: another worker may
            // have reported in this one's place by now. Repeating an end answers that.
            let again = Exchange { held: &[], reported: &[], want: 0, recover: Recover::No, ..ask };
            if let Ok(again) = engine.exchange(&again) {
                out.ends = again.ends;
            }
        }
        self.recover = Recover::No;
        if want > 0 {
            self.maybe_work |= out.jobs.len() >= want || out.more;
            self.look_at = self.next_look(&out, now);
        }
        for (hold, renewed) in held.into_iter().zip(&out.held) {
            self.renewed(hold, *renewed);
        }
        self.answered(out, endings, capacities, now);
        Ok(())
    }

    /// All that follows from an answer but what it says of leases that go on.
    fn answered(
        &mut self,
        out: Exchanged,
        endings: Vec<Ending>,
        capacities: Vec<Capacity>,
        now: Instant,
    ) {
        self.open = Some(out.open);
        self.unreported = out.unreported;
        self.worker.queue.events.lapsed(out.lapsed);
        if !out.jobs.is_empty() {
            self.phase(Phase::Leased);
        }
        self.arrive(out.jobs, capacities, now);
        // The owner takes what time it likes, and an engine of this process works in this thread:
        // jobs wait for neither.
        if self.woken || (self.worker.on_outcome.is_some() && !endings.is_empty()) {
            self.start();
        }
        for (ending, ended) in endings.into_iter().zip(out.ends) {
            self.ended(ending, ended);
        }
        if !self.held.is_empty() {
            self.phase(Phase::Running);
        }
    }

    fn next_look(&self, out: &Exchanged, now: Instant) -> Option<Instant> {
        let poll = (!self.woken).then_some(self.worker.poll);
        let waits = self.worker.until_empty && self.worker.on_outcome.is_some();
        let reports = (waits && out.unreported > 0).then_some(REPORTS_POLL);
        let due = [out.due, poll, reports].into_iter().flatten().min();
        due.map(|wait| now + wait)
    }

    fn renewed(&mut self, hold: Hold, renewed: Renewed) {
        let Some(held) = self.held.get_mut(&hold.id) else { return };
        match renewed {
            Renewed::Held => return,
            Renewed::CancelAsked => held.cancelled = true,
            Renewed::Lost => held.lost = true,
        }
        self.slots.cancel(held);
    }

    /// Takes in what has come, without waiting.
    pub(super) fn drain(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Look => {
                self.maybe_work = true;
                // A renewal's answer names jobs that are to be cancelled.
                self.renew_at = Instant::now();
            }
            Message::Done(done) => self.done(*done),
        }
    }

    /// Sleeps until there is something to do.
    fn sleep(&mut self, now: Instant) {
        let renew = (!self.held.is_empty()).then_some(self.renew_at);
        let moments = [renew, self.look_at, self.slots.rests_until(now), self.hand_on_at];
        let until = moments.into_iter().flatten().min().unwrap_or(now + SLEEP_MAX);
        let wait = until.saturating_duration_since(now).min(SLEEP_MAX);
        if !self.woken && self.held.is_empty() && self.slots.rests_until(now).is_none() {
            // Nothing can come but work and a stop; the server wakes the worker for either.
            let (engine, name) = (&self.worker.queue.engine, &self.worker.name);
            if engine.wait_for_work(name, wait.min(self.worker.poll)).is_err() {
                // The next call gives the error; until then it is not asked again and again.
                self.receive_for(wait.min(RETRY_FIRST));
            }
            self.maybe_work = true;
            return;
        }
        self.receive_for(wait);
        let rested = self.slots.rests_until(now).is_some_and(|at| at <= Instant::now());
        self.maybe_work |= rested;
    }

    pub(super) fn receive_for(&mut self, wait: Duration) {
        match self.inbox.recv_timeout(wait) {
            Ok(message) => self.take(message),
            // The other end is in this very struct.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    pub(super) fn phase(&self, phase: Phase) {
        if let Some(on_phase) = &self.worker.on_phase {
            on_phase(phase);
        }
    }
}
