//! The steps of a job's life inside one transaction. DESIGN.md lists them.

use redb::{ReadableTable, ReadableTableMetadata};

use super::tables::{
    Fresh, M_DROPPED, M_FENCED, M_FINISHED, M_GONE, M_REDELIVERED, State, Tables, Tx,
};
use crate::clock::now_ms;
use crate::engine::{End, Ended, How, LEASE_MAX_MS};
use crate::id::JobId;
use crate::limits::Limits;
use crate::outcome::JobOutcome;
use crate::state::JobState;

/// Most outcomes dropped by one transaction, so that none takes long.
const DROPS_MAX: usize = 256;

impl Tables<'_> {
    /// Jobs that wait or are leased.
    pub(crate) fn open_jobs(&self) -> Tx<u64> {
        Ok(self.ready.len()? + self.parked.len()? + self.working.len()?)
    }

    /// Takes a job from [`ready`](Self::ready), for a lease or the dead list.
    pub(crate) fn take(&mut self, lane: u8, id: JobId) -> Tx<Option<State>> {
        self.dirty = true;
        let row = self.ready.remove((lane, id.bits()))?;
        let fresh = row.as_ref().and_then(|row| Fresh::read(row.value()));
        let state = match &fresh {
            Some(fresh) => {
                self.records.insert(id.bits(), fresh.record)?;
                Some(fresh.state(lane))
            }
            None => None,
        };
        drop(row);
        state.map_or_else(|| self.state(id), |state| Ok(Some(state)))
    }

    /// Begins a lease of a job that was taken.
    pub(crate) fn begin(&mut self, id: JobId, mut state: State, worker: &str) -> Tx<State> {
        state.state = JobState::Working;
        state.attempt += 1;
        state.deliveries += 1;
        state.worker = Some(worker.to_owned());
        self.working.insert(id.bits(), ())?;
        self.put_state(id, &state)?;
        Ok(state)
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
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                let delay_ms = delay_ms.min(LEASE_MAX_MS);
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
        self.bytes = (self.bytes + bytes).saturating_sub(state.bytes);
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
            self.wait_again(id, &state)?;
        } else {
            state.pause_ms = delay_ms;
            self.parked.insert((now_ms() + delay_ms, id.bits()), ())?;
        }
        self.put_state(id, &state)?;
        Ok(Ended::Requeued)
    }

    /// Puts a job that was leased before back into its lane, at its old place.
    pub(crate) fn wait_again(&mut self, id: JobId, state: &State) -> Tx<()> {
        self.ready.insert((state.lane, id.bits()), [].as_slice())?;
        Ok(())
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

    /// Moves jobs to their lanes whose pause is over, or that are due later than their pause may
    /// last, since the clock was set back; gives the milliseconds to the next.
    pub(crate) fn unpark(&mut self, now: u64) -> Tx<Option<u64>> {
        // Those parked before the clock was set back are the last, whatever came since.
        loop {
            let last = self.parked.last()?.map(|entry| entry.0.value());
            let Some((due, bits)) = last else { break };
            let state = self.state(JobId::from_bits(bits))?;
            let pause_ms = state.map_or(0, |state| state.pause_ms);
            if due <= now.saturating_add(pause_ms) {
                break;
            }
            self.unpark_one(due, bits)?;
        }
        loop {
            let first = self.parked.first()?.map(|entry| entry.0.value());
            let Some((due, bits)) = first else { return Ok(None) };
            if due > now {
                return Ok(Some(due - now));
            }
            self.unpark_one(due, bits)?;
        }
    }

    fn unpark_one(&mut self, due: u64, bits: u128) -> Tx<()> {
        self.dirty = true;
        self.parked.remove((due, bits))?;
        match self.state(JobId::from_bits(bits))? {
            Some(state) => self.wait_again(JobId::from_bits(bits), &state),
            None => Ok(()),
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
            let too_large = kept > 1 && self.bytes > limits.max_bytes;
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
            self.ready.remove((state.lane, id.bits()))?;
            if let Some(key) = &state.key {
                self.keys.remove(key.as_str())?;
            }
            self.bytes = self.bytes.saturating_sub(state.bytes);
            self.add(M_GONE, 1, 0)?;
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
