//! Queries of a queue's file, and changes outside a worker's exchange.

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::tables::{BOOKMARKS, M_DROPPED, M_FENCED, M_FINISHED, M_GONE, M_REDELIVERED, Tx};
use super::{Embedded, Inner};
use crate::clock::now_ms;
use crate::engine::{Cancelled, Purge};
use crate::error::Error;
use crate::id::JobId;
use crate::state::{JobState, JobStatus, QueueStats, WorkerStats};

/// Jobs dropped by one transaction of a purge.
const PURGE_STEP: usize = 1_000;

impl Embedded {
    pub(super) fn find_status(&self, id: JobId) -> Result<Option<JobStatus>, Error> {
        let state = self.read(&mut self.lock(), |tables| tables.state(id))?;
        Ok(state
            .filter(|state| !self.is_old(state.state, state.dead, state.finished_ms))
            .map(|state| state.status(id)))
    }

    fn is_old(&self, state: JobState, dead: bool, finished_ms: u64) -> bool {
        state.is_final() && !dead && finished_ms.saturating_add(self.limits.ttl_ms()) < now_ms()
    }

    pub(super) fn find_outcome(&self, id: JobId) -> Result<Option<Vec<u8>>, Error> {
        let max = self.limits.max_result_bytes;
        self.read(&mut self.lock(), |tables| match tables.outcomes.get(id.bits())? {
            Some(record) if record.value().len() > max => {
                let what = format!("the outcome of job {id} is longer than max_result_bytes");
                Err(Error::BadRecord(what).into())
            }
            record => Ok(record.map(|record| record.value().to_vec())),
        })
    }

    pub(super) fn cancel_job(&self, id: JobId, record: &[u8]) -> Result<Cancelled, Error> {
        let mut inner = self.lock();
        let found = self.write(&mut inner, |tables, _| {
            let Some(mut state) = tables.state(id)? else { return Ok(Cancelled::Unknown) };
            match state.state {
                JobState::Submitted => {
                    tables.cancel_waiting(id, state, record, &self.limits)?;
                    Ok(Cancelled::Now)
                }
                JobState::Working => {
                    state.cancel_asked = true;
                    tables.put_state(id, &state)?;
                    Ok(Cancelled::Asked)
                }
                _ => Ok(Cancelled::TooLate),
            }
        })?;
        match found {
            Cancelled::Now => self.ended.notify_all(),
            Cancelled::Asked => {
                if let Some(lease) = inner.leases.get_mut(&id) {
                    lease.cancel_asked = true;
                }
                self.notify_work(&mut inner);
            }
            Cancelled::TooLate | Cancelled::Unknown => {}
        }
        Ok(found)
    }

    pub(super) fn list_dead(&self, limit: usize) -> Result<Vec<JobStatus>, Error> {
        self.read(&mut self.lock(), |tables| {
            let mut list = Vec::new();
            for entry in tables.dead.iter()?.take(limit) {
                let id = JobId::from_bits(entry?.1.value());
                list.extend(tables.state(id)?.map(|state| state.status(id)));
            }
            Ok(list)
        })
    }

    pub(super) fn revive(&self, id: JobId) -> Result<bool, Error> {
        let mut inner = self.lock();
        let revived = self.write(&mut inner, |tables, _| {
            let Some(mut state) = tables.state(id)?.filter(|state| state.dead) else {
                return Ok(false);
            };
            tables.dead.remove(state.order)?;
            (state.state, state.dead) = (JobState::Submitted, false);
            (state.deliveries, state.finished_ms) = (0, 0);
            tables.wait_again(id, &state)?;
            tables.put_state(id, &state)?;
            Ok(true)
        })?;
        if revived {
            self.notify_work(&mut inner);
        }
        Ok(revived)
    }

    pub(super) fn purge_some(&self, what: Purge) -> Result<u64, Error> {
        let dropped = self.write(&mut self.lock(), |tables, _| {
            let mut found = Vec::new();
            match what {
                Purge::Results => {
                    for entry in tables.done.iter()?.take(PURGE_STEP) {
                        found.push(entry?.1.value());
                    }
                }
                Purge::Dead => {
                    for entry in tables.dead.iter()?.take(PURGE_STEP) {
                        found.push(entry?.1.value());
                    }
                }
                Purge::Waiting => {
                    for entry in tables.ready.iter()?.take(PURGE_STEP) {
                        found.push(entry?.0.value().1);
                    }
                    let mut parked = Vec::new();
                    for entry in tables.parked.iter()?.take(PURGE_STEP) {
                        parked.push(entry?.0.value());
                    }
                    for key in parked {
                        tables.parked.remove(key)?;
                        found.push(key.1);
                    }
                }
            }
            for bits in &found {
                tables.forget(JobId::from_bits(*bits))?;
            }
            Ok(found.len() as u64)
        })?;
        self.ended.notify_all();
        Ok(dropped)
    }

    pub(super) fn count_all(&self) -> Result<QueueStats, Error> {
        let mut inner = self.lock();
        let mut stats = self.read(&mut inner, |tables| {
            Ok(QueueStats {
                waiting: tables.ready.len()? + tables.parked.len()?,
                leased: tables.working.len()?,
                dead: tables.dead.len()?,
                results: tables.done.len()?,
                bytes: tables.bytes,
                // All that are there, and all that went.
                pushed: tables.open_jobs()?
                    + tables.dead.len()?
                    + tables.done.len()?
                    + tables.count(M_GONE)?,
                finished: tables.count(M_FINISHED)?,
                redelivered: tables.count(M_REDELIVERED)?,
                fenced: tables.count(M_FENCED)?,
                results_dropped: tables.count(M_DROPPED)?,
                workers: Vec::new(),
            })
        })?;
        stats.workers = workers(&inner);
        Ok(stats)
    }

    pub(super) fn adopt(&self, worker: &str, is_start: bool) -> Result<Vec<JobId>, Error> {
        let mut inner = self.lock();
        if is_start {
            inner.reporters.remove(worker);
        }
        let found = self.write(&mut inner, |tables, inner| {
            let mut found = Vec::new();
            for entry in tables.unreported.iter()? {
                let id = JobId::from_bits(entry?.1.value());
                let reporter = match inner.adopted.get(&id) {
                    Some(adopter) => Some(adopter.clone()),
                    None => tables.state(id)?.and_then(|state| state.worker),
                };
                // A worker of this process reports its own.
                if !reporter.is_some_and(|name| inner.reporters.contains(&name)) {
                    found.push(id);
                }
            }
            Ok(found)
        })?;
        inner.reporters.insert(worker.to_owned());
        inner.adopted.extend(found.iter().map(|id| (*id, worker.to_owned())));
        Ok(found)
    }

    pub(super) fn read_bookmark(&self, name: &str) -> Result<u64, Error> {
        let mut inner = self.lock();
        // Opens the database, should a failure have closed it.
        self.read(&mut inner, |_| Ok(()))?;
        let Some(db) = &inner.db else { return Ok(0) };
        let found = || -> Tx<u64> {
            let table = db.begin_read()?.open_table(BOOKMARKS)?;
            Ok(table.get(name)?.map_or(0, |value| value.value()))
        };
        found().map_err(|fail| self.fail(fail))
    }

    pub(super) fn write_bookmark(&self, name: &str, value: u64) -> Result<(), Error> {
        let mut inner = self.lock();
        self.read(&mut inner, |_| Ok(()))?;
        let Some(db) = inner.db.take() else { return Ok(()) };
        let run = || -> Tx<()> {
            let txn = db.begin_write()?;
            txn.open_table(BOOKMARKS)?.insert(name, value)?;
            Ok(txn.commit()?)
        };
        match run() {
            Ok(()) => inner.db = Some(db),
            // Left closed, to be opened anew.
            Err(fail) => return Err(self.fail(fail)),
        }
        Ok(())
    }
}

fn workers(inner: &Inner) -> Vec<WorkerStats> {
    let now = std::time::Instant::now();
    let mut list: Vec<WorkerStats> = Vec::new();
    for lease in inner.leases.values() {
        let alive_for = lease.until.saturating_duration_since(now);
        match list.iter_mut().find(|worker| worker.name == lease.worker) {
            Some(worker) => {
                worker.leased += 1;
                worker.alive_for = worker.alive_for.max(alive_for);
            }
            None => list.push(WorkerStats { name: lease.worker.clone(), leased: 1, alive_for }),
        }
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}
