//! A worker's one call, in one transaction.

use std::time::{Duration, Instant};

use redb::{ReadableTable, ReadableTableMetadata};

use super::lanes::{LANES, LaneChoice};
use super::tables::{Fresh, State, Tables, Tx};
use super::{Embedded, Inner, Lease};
use crate::clock::now_ms;
use crate::engine::{
    ANSWER_BYTES_MAX, Delivery, Ended, Exchange, Exchanged, Hold, Lapsed, Renewed, offers,
};
use crate::error::Error;
use crate::id::JobId;
use crate::limits::Limits;
use crate::state::JobState;

impl Embedded {
    pub(super) fn run_exchange(&self, ask: &Exchange<'_>) -> Result<Exchanged, Error> {
        let mut inner = self.lock();
        let now = Instant::now();
        let mut buried = false;
        let mut out = self.write(&mut inner, |tables, inner| {
            let mut out = Exchanged::default();
            for end in ask.ends {
                out.ends.push(tables.end(end, ask.report, &self.limits)?);
            }
            for id in ask.reported {
                tables.set_reported(*id)?;
            }
            out.lapsed = tables.sweep(inner, ask, now, &self.limits)?;
            let parked = tables.unpark(now_ms())?;
            let (mut bytes, mut again) = (0, ask.again);
            while out.jobs.len() < ask.want {
                out.more = bytes >= ANSWER_BYTES_MAX;
                if out.more {
                    break;
                }
                let next = tables.next_job(&mut inner.choice, ask.tools, again > 0)?;
                let Some((lane, id)) = next else { break };
                let job = match tables.deliver(lane, id, ask.worker, &self.limits)? {
                    Taken::Leased(job) => job,
                    Taken::Buried => {
                        buried = true;
                        continue;
                    }
                    Taken::Gone => continue,
                };
                bytes += job.record.len();
                again -= usize::from(job.deliveries > 1);
                out.jobs.push(job);
            }
            out.open = tables.open_jobs()?;
            out.unreported = tables.unreported.len()?;
            out.due = parked.map(Duration::from_millis);
            Ok(out)
        })?;
        // The transaction is durable: what is in memory follows it.
        for end in ask.ends {
            remove_lease(&mut inner, end.hold);
        }
        out.held = ask.held.iter().map(|hold| renew(&mut inner, *hold, ask, now)).collect();
        ask.reported.iter().for_each(|id| drop(inner.adopted.remove(id)));
        inner.leases.retain(|_, lease| lease.until > now);
        for job in &out.jobs {
            let lease = Lease {
                attempt: job.hold.attempt,
                worker: ask.worker.to_owned(),
                until: now + ask.lease,
                cancel_asked: false,
            };
            inner.leases.insert(job.hold.id, lease);
        }
        let next = inner.leases.values().map(|lease| lease.until.duration_since(now)).min();
        out.due = [out.due, next].into_iter().flatten().min();
        let ended = |end: &Ended| matches!(end, Ended::Recorded | Ended::Dead | Ended::Canceled);
        if buried || out.ends.iter().any(ended) || out.lapsed.dead > 0 {
            self.ended.notify_all();
        }
        if out.ends.contains(&Ended::Requeued) || out.lapsed.redelivered > 0 {
            self.notify_work(&mut inner);
        }
        Ok(out)
    }
}

/// The fate of a job that was to be leased.
enum Taken {
    Leased(Delivery),
    /// It went to the dead list.
    Buried,
    /// Nothing is known of it.
    Gone,
}

fn remove_lease(inner: &mut Inner, hold: Hold) {
    if inner.leases.get(&hold.id).is_some_and(|lease| lease.attempt == hold.attempt) {
        inner.leases.remove(&hold.id);
    }
}

fn renew(inner: &mut Inner, hold: Hold, ask: &Exchange<'_>, now: Instant) -> Renewed {
    match inner.leases.get_mut(&hold.id) {
        // One that lapsed was taken away by this very call.
        Some(lease) if lease.attempt == hold.attempt && lease.until > now => {
            lease.until = now + ask.lease;
            if lease.cancel_asked { Renewed::CancelAsked } else { Renewed::Held }
        }
        _ => Renewed::Lost,
    }
}

impl Tables<'_> {
    /// Takes jobs away from workers that were silent for longer than their lease.
    fn sweep(
        &mut self,
        inner: &Inner,
        ask: &Exchange<'_>,
        now: Instant,
        limits: &Limits,
    ) -> Tx<Lapsed> {
        let mut lapsed = Lapsed::default();
        for (id, lease) in inner.leases.iter().filter(|(_, lease)| lease.until <= now) {
            let ended_now =
                ask.ends.iter().any(|end| end.hold.id == *id && end.hold.attempt == lease.attempt);
            let state = self.state(*id)?.filter(|state| state.attempt == lease.attempt);
            let (false, Some(state)) = (ended_now, state) else { continue };
            let why = format!("worker {} was silent for longer than its lease", lease.worker);
            match self.requeue(*id, state, Some(&why), 0, limits)? {
                Ended::Dead => lapsed.dead += 1,
                _ => lapsed.redelivered += 1,
            }
        }
        Ok(lapsed)
    }

    /// The lane and the job to go next; `again` admits jobs that were delivered before.
    fn next_job(
        &self,
        choice: &mut LaneChoice,
        tools: &[String],
        again: bool,
    ) -> Tx<Option<(u8, JobId)>> {
        let mut first = [None; LANES];
        for (lane, first) in (0..).zip(&mut first) {
            for entry in self.ready.range((lane, 0)..=(lane, u128::MAX))? {
                let (key, row) = entry?;
                let id = JobId::from_bits(key.value().1);
                if self.is_offered(id, row.value(), tools, again)? {
                    *first = Some((lane, id));
                    break;
                }
            }
        }
        let lane = choice.next(first.map(|job| job.is_some()));
        Ok(lane.and_then(|lane| first[lane]))
    }

    fn is_offered(&self, id: JobId, row: &[u8], tools: &[String], again: bool) -> Tx<bool> {
        if let Some(fresh) = Fresh::read(row) {
            return Ok(offers(tools, fresh.tools));
        }
        let state = self.states.get(id.bits())?;
        match state.map(|state| State::read(state.value())).transpose()? {
            Some(state) => Ok((again || state.deliveries == 0) && offers(tools, &state.tools)),
            // Nothing is known of it; taking it clears it away.
            None => Ok(true),
        }
    }

    /// Leases a job, or buries it where its record is missing or longer than it may be.
    fn deliver(&mut self, lane: u8, id: JobId, worker: &str, limits: &Limits) -> Tx<Taken> {
        let Some(mut state) = self.take(lane, id)? else { return Ok(Taken::Gone) };
        let record = self.records.get(id.bits())?;
        let bytes = record.as_ref().map_or(0, |record| record.value().len());
        if bytes == 0 || bytes > limits.max_job_bytes {
            drop(record);
            state.add_reason(&format!(
                "lease {}: the record has {bytes} bytes: none, or more than max_job_bytes",
                state.attempt
            ));
            self.bury(id, state)?;
            return Ok(Taken::Buried);
        }
        let record = record.map(|record| record.value().to_vec()).unwrap_or_default();
        let state = self.begin(id, state, worker)?;
        Ok(Taken::Leased(Delivery {
            hold: Hold { id, attempt: state.attempt },
            key: state.key,
            deliveries: state.deliveries,
            pushed_ms: state.pushed_ms,
            record,
        }))
    }

    fn set_reported(&mut self, id: JobId) -> Tx<()> {
        if let Some(state) = self.state(id)? {
            self.dirty = true;
            self.unreported.remove(state.order)?;
        }
        Ok(())
    }

    /// When a file is opened: jobs whose lease nobody has wait again, or are buried. At the
    /// first opening the process that had them is gone. After a failure of the storage the
    /// lease was never begun, since its commit seemed to fail; it does not count.
    pub(super) fn recover(&mut self, inner: &Inner, limits: &Limits) -> Tx<()> {
        let mut found = Vec::new();
        for entry in self.working.iter()? {
            found.push(JobId::from_bits(entry?.0.value()));
        }
        for id in found {
            let Some(mut state) = self.state(id)? else {
                self.dirty = true;
                self.working.remove(id.bits())?;
                continue;
            };
            if inner.leases.get(&id).is_some_and(|lease| lease.attempt == state.attempt) {
                continue;
            }
            let why = match &state.worker {
                _ if inner.opened => {
                    state.deliveries = state.deliveries.saturating_sub(1);
                    None
                }
                Some(worker) => Some(format!("the process of worker {worker} ended")),
                None => Some("the worker's process ended".to_owned()),
            };
            self.requeue(id, state, why.as_deref(), 0, limits)?;
        }
        Ok(())
    }

    /// Ends a waiting job as cancelled.
    pub(super) fn cancel_waiting(
        &mut self,
        id: JobId,
        state: State,
        record: &[u8],
        limits: &Limits,
    ) -> Tx<()> {
        self.ready.remove((state.lane, id.bits()))?;
        self.cancel_pause(id)?;
        self.record(id, state, JobState::Canceled, record, false, limits)
    }

    fn cancel_pause(&mut self, id: JobId) -> Tx<()> {
        let mut found = None;
        for entry in self.parked.iter()? {
            let (due, bits) = entry?.0.value();
            if bits == id.bits() {
                found = Some((due, bits));
                break;
            }
        }
        if let Some(key) = found {
            self.parked.remove(key)?;
        }
        Ok(())
    }
}
