//! The steps of a job's life inside one transaction. DESIGN.md lists them.

use redb::{ReadableTable, ReadableTableMetadata};

use super::tables::{
    M_BYTES, M_DROPPED, M_FENCED, M_FINISHED, M_PUSHED, M_REDELIVERED, M_SEQ, State, Tables, Tx,
};
use crate::clock::now_ms;
use crate::engine::{End, Ended, How, LEASE_MAX, Prepared, Pushed};
use crate::error::Error;
use crate::id::JobId;
use crate::limits::Limits;
use crate::outcome::JobOutcome;
use crate::state::JobState;

/// Most outcomes dropped by one transaction, so that none takes long.
const DROPS_MAX: usize = 256;

impl Tables<'_> {
    /// Adds the jobs that are not there; the transaction is given up where there is no room.
    pub(crate) fn push(&mut self, jobs: &[Prepared], limits: &Limits) -> Tx<Vec<Pushed>> {
        let mut pushed = Vec::with_capacity(jobs.len());
        let mut seq = self.count(M_SEQ)?;
        let mut bytes = self.count(M_BYTES)?;
        let mut open = self.open_jobs()?;
        let mut added = 0;
        for job in jobs {
            if let Some(known) = self.known(job)? {
                pushed.push(Pushed { id: known, is_new: false });
                continue;
            }
            let size = job.record.len() as u64;
            (seq, open, bytes, added) = (seq + 1, open + 1, bytes + size, added + 1);
            if open > limits.max_jobs {
                let why = format!("it has {} jobs, its max_jobs", limits.max_jobs);
                return Err(Error::Full(why).into());
            }
            if bytes > limits.max_bytes {
                let why = format!("its records have max_bytes, {} bytes", limits.max_bytes);
                return Err(Error::Full(why).into());
            }
            self.insert(job, seq, size)?;
            pushed.push(Pushed { id: job.id, is_new: true });
        }
        if added > 0 {
            self.meta.insert(M_SEQ, seq)?;
            self.meta.insert(M_BYTES, bytes)?;
            self.add(M_PUSHED, added, 0)?;
        }
        Ok(pushed)
    }

    fn known(&self, job: &Prepared) -> Tx<Option<JobId>> {
        // The same id: a push is repeated whose commit failed, but reached the disk.
        if self.states.get(job.id.bits())?.is_some() {
            return Ok(Some(job.id));
        }
        let Some(key) = &job.key else { return Ok(None) };
        Ok(self.keys.get(key.as_str())?.map(|id| JobId::from_bits(id.value())))
    }

    fn insert(&mut self, job: &Prepared, seq: u64, bytes: u64) -> Tx<()> {
        let state = State {
            state: JobState::Submitted,
            dead: false,
            cancel_asked: false,
            attempt: 0,
            deliveries: 0,
            max_deliveries: job.max_deliveries,
            lane: job.lane,
            seq,
            tools: job.tools.clone(),
            key: job.key.clone(),
            pushed_ms: job.pushed_ms,
            finished_ms: 0,
            order: 0,
            worker: None,
            bytes,
            reasons: Vec::new(),
        };
        if let Some(key) = &job.key {
            self.keys.insert(key.as_str(), job.id.bits())?;
        }
        self.records.insert(job.id.bits(), job.record.as_slice())?;
        self.ready.insert((job.lane, seq), (job.id.bits(), job.tools.as_str()))?;
        self.put_state(job.id, &state)
    }

    /// Jobs that wait or are leased.
    pub(crate) fn open_jobs(&self) -> Tx<u64> {
        Ok(self.ready.len()? + self.parked.len()? + self.working.len()?)
    }

    /// Begins a lease of a job that was just taken from [`ready`](Self::ready).
    pub(crate) fn begin(&mut self, id: JobId, worker: &str) -> Tx<Option<State>> {
        let Some(mut state) = self.state(id)? else { return Ok(None) };
        state.state = JobState::Working;
        state.attempt += 1;
        state.deliveries += 1;
        state.worker = Some(worker.to_owned());
        self.working.insert(id.bits(), ())?;
        self.put_state(id, &state)?;
        Ok(Some(state))
    }

    /// Ends a lease as the worker says, if it is still its lease.
    pub(crate) fn end(&mut self, end: &End, report: bool, limits: &Limits) -> Tx<Ended> {
        let id = end.hold.id;
        let state = self.state(id)?.filter(|state| state.attempt == end.hold.attempt);
        let Some(mut state) = state else {
            self.add(M_FENCED, 1, 0)?;
            return Ok(Ended::Fenced);
        };
        if state.state != JobState::Working {
            // Repeated: its commit failed, but reached the disk.
            let recorded = matches!(&end.how, How::Outcome { state: s, .. } if *s == state.state);
            return Ok(if recorded && !state.dead { Ended::Recorded } else { Ended::Fenced });
        }
        match &end.how {
            How::Outcome { state: outcome, record } => {
                self.record(id, state, *outcome, record, report, limits)?;
                Ok(Ended::Recorded)
            }
            How::Retry { reason, delay, counts } => {
                let delay_ms = u64::try_from(delay.min(&LEASE_MAX).as_millis()).unwrap_or(0);
                if !counts {
                    state.deliveries = state.deliveries.saturating_sub(1);
                }
                self.requeue(id, state, Some(reason), delay_ms, limits)
            }
            How::HandBack => {
                state.deliveries = state.deliveries.saturating_sub(1);
                self.requeue(id, state, None, 0, limits)
            }
        }
    }

    /// Records the one outcome of a job that waits or is leased.
    pub(crate) fn record(
        &mut self,
        id: JobId,
        mut state: State,
        outcome: JobState,
        record: &[u8],
        report: bool,
        limits: &Limits,
    ) -> Tx<()> {
        let now = now_ms();
        self.working.remove(id.bits())?;
        self.records.remove(id.bits())?;
        self.outcomes.insert(id.bits(), record)?;
        state.order = self.next_seq()?;
        self.done.insert(state.order, id.bits())?;
        if report {
            self.unreported.insert(state.order, id.bits())?;
        }
        let bytes = record.len() as u64;
        self.add(M_BYTES, bytes, state.bytes)?;
        self.add(M_FINISHED, 1, 0)?;
        state.state = outcome;
        state.finished_ms = now;
        state.bytes = bytes;
        self.put_state(id, &state)?;
        self.trim(limits, now)
    }

    /// Makes a leased job wait again, or buries it where it was delivered too often.
    pub(crate) fn requeue(
        &mut self,
        id: JobId,
        mut state: State,
        reason: Option<&str>,
        delay_ms: u64,
        limits: &Limits,
    ) -> Tx<Ended> {
        if state.cancel_asked {
            let outcome = canceled(id, &state);
            self.record(id, state, JobState::Canceled, &outcome.write(), false, limits)?;
            return Ok(Ended::Canceled);
        }
        self.working.remove(id.bits())?;
        if let Some(reason) = reason {
            state.add_reason(&format!("lease {}: {reason}", state.attempt));
            self.add(M_REDELIVERED, 1, 0)?;
            if state.deliveries >= state.max_deliveries {
                return self.bury(id, state);
            }
        }
        state.state = JobState::Submitted;
        if delay_ms == 0 {
            self.ready.insert((state.lane, state.seq), (id.bits(), state.tools.as_str()))?;
        } else {
            self.parked.insert((now_ms() + delay_ms, id.bits()), ())?;
        }
        self.put_state(id, &state)?;
        Ok(Ended::Requeued)
    }

    /// Puts a job that is in no other list on the dead list.
    pub(crate) fn bury(&mut self, id: JobId, mut state: State) -> Tx<Ended> {
        state.state = JobState::Failed;
        state.dead = true;
        state.finished_ms = now_ms();
        state.order = self.next_seq()?;
        self.dead.insert(state.order, id.bits())?;
        self.put_state(id, &state)?;
        Ok(Ended::Dead)
    }

    /// Moves jobs whose pause is over to their lanes; gives the milliseconds to the next.
    pub(crate) fn unpark(&mut self, now: u64) -> Tx<Option<u64>> {
        // What is due later than a pause may last was parked before the clock was set back.
        let latest = now.saturating_add(u64::try_from(LEASE_MAX.as_millis()).unwrap_or(u64::MAX));
        loop {
            let Some((key, _)) = self.parked.first()? else { return Ok(None) };
            let (due, bits) = key.value();
            drop(key);
            if due > now && due <= latest {
                return Ok(Some(due - now));
            }
            self.dirty = true;
            self.parked.remove((due, bits))?;
            if let Some(state) = self.state(JobId::from_bits(bits))? {
                self.ready.insert((state.lane, state.seq), (bits, state.tools.as_str()))?;
            }
        }
    }

    /// Drops kept outcomes beyond their bounds, oldest first; never the newest.
    fn trim(&mut self, limits: &Limits, now: u64) -> Tx<()> {
        for _ in 0..DROPS_MAX {
            let Some(oldest) = self.done.first()?.map(|(_, id)| id.value()) else { break };
            let oldest = JobId::from_bits(oldest);
            let finished = self.state(oldest)?.map_or(0, |state| state.finished_ms);
            let kept = self.done.len()?;
            let old = finished.saturating_add(limits.ttl_ms()) < now;
            let too_many = kept > limits.max_results;
            let too_large = kept > 1 && self.count(M_BYTES)? > limits.max_bytes;
            if !(old || too_many || too_large) {
                break;
            }
            self.forget(oldest)?;
            self.add(M_DROPPED, 1, 0)?;
        }
        Ok(())
    }

    /// Removes a finished, dead or waiting job with all that belongs to it.
    pub(crate) fn forget(&mut self, id: JobId) -> Tx<()> {
        self.dirty = true;
        if let Some(state) = self.state(id)? {
            self.done.remove(state.order)?;
            self.dead.remove(state.order)?;
            self.unreported.remove(state.order)?;
            self.ready.remove((state.lane, state.seq))?;
            if let Some(key) = &state.key {
                self.keys.remove(key.as_str())?;
            }
            self.add(M_BYTES, 0, state.bytes)?;
        }
        self.records.remove(id.bits())?;
        self.outcomes.remove(id.bits())?;
        self.states.remove(id.bits())?;
        Ok(())
    }
}

/// The outcome of a job that was cancelled.
pub(crate) fn canceled(id: JobId, state: &State) -> JobOutcome {
    let mut outcome = JobOutcome::without_result(id, JobState::Canceled, None);
    outcome.key.clone_from(&state.key);
    outcome.attempt = state.attempt;
    outcome.worker = state.worker.clone().unwrap_or_default();
    outcome
}
