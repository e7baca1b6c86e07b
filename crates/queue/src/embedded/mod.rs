//! The embedded engine: one file, one process, redb.

mod exchange;
mod file;
#[cfg(test)]
mod file_tests;
mod lanes;
mod push;
mod query;
mod steps;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadableDatabase, WriteTransaction};

use crate::engine::{Cancelled, Engine, Exchange, Exchanged, Notify, Prepared, Purge, Pushed};
use crate::error::Error;
use crate::id::JobId;
use crate::limits::Limits;
use crate::state::{JobStatus, QueueStats};
use file::open_file;
use lanes::LaneChoice;
use tables::{BOOKMARKS, FORMAT, Fail, M_FORMAT, META, Tables, Tx};

/// Opens the database; tests open one on a disk that fills up.
type OpenDatabase = dyn Fn(&Path) -> Result<Database, DatabaseError> + Send + Sync;

/// A queue in a file.
pub(crate) struct Embedded {
    path: PathBuf,
    limits: Limits,
    open_database: Box<OpenDatabase>,
    inner: Mutex<Inner>,
    /// Something was pushed, requeued or cancelled.
    work: Condvar,
    /// Something ended.
    ended: Condvar,
}

struct Inner {
    /// None after a failure of the storage, until it opens again.
    db: Option<Database>,
    /// Whether the file was opened before: what is leased then, this process leased.
    opened: bool,
    /// Bytes of all records.
    bytes: u64,
    leases: HashMap<JobId, Lease>,
    choice: LaneChoice,
    notify: Vec<Notify>,
    /// Workers of this process that report outcomes.
    reporters: HashSet<String>,
    /// Workers that report outcomes which another recorded.
    adopted: HashMap<JobId, String>,
}

/// A lease. Leases live in memory: a process that opens the file knows that the one that had it
/// before is gone, and its leases with it.
#[derive(Debug, Clone)]
struct Lease {
    attempt: u32,
    worker: String,
    until: Instant,
    cancel_asked: bool,
}

impl Embedded {
    /// Opens a file, or makes it, readable by its owner alone.
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self, Error> {
        Self::open_with(path, limits, Box::new(open_file))
    }

    fn open_with(
        path: &Path,
        limits: Limits,
        open_database: Box<OpenDatabase>,
    ) -> Result<Self, Error> {
        limits.validate()?;
        let engine = Self {
            path: path.to_owned(),
            limits,
            open_database,
            inner: Mutex::new(Inner {
                db: None,
                opened: false,
                bytes: 0,
                leases: HashMap::new(),
                choice: LaneChoice::default(),
                notify: Vec::new(),
                reporters: HashSet::new(),
                adopted: HashMap::new(),
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
        };
        engine.read(&mut engine.lock(), |_| Ok(()))?;
        Ok(engine)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> Result<Database, Error> {
        let db = (self.open_database)(&self.path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => Error::InUse { path: self.path.clone() },
            error => {
                let what = format!("cannot be opened as a queue's file: {error}");
                self.storage(what, &error.into())
            }
        })?;
        self.check_format(&db)?;
        Ok(db)
    }

    /// Refuses a file of a newer version before anything is written to it.
    fn check_format(&self, db: &Database) -> Result<(), Error> {
        let found = || -> Tx<Option<u64>> {
            let txn = db.begin_read()?;
            match txn.open_table(META) {
                Ok(meta) => Ok(meta.get(M_FORMAT)?.map(|format| format.value())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        match found().map_err(|fail| self.fail(fail))? {
            Some(found) if found > FORMAT => Err(Error::NewerFormat {
                place: self.path.display().to_string(),
                found,
                known: FORMAT,
            }),
            _ => Ok(()),
        }
    }

    fn storage(&self, what: String, error: &redb::Error) -> Error {
        Error::Storage { path: self.path.clone(), what, passing: file::is_passing(error) }
    }

    fn fail(&self, fail: Fail) -> Error {
        match fail {
            Fail::Own(error) => error,
            Fail::Db(error) => self.storage(error.to_string(), &error),
        }
    }

    /// Runs one write transaction over all tables and commits it, where it wrote anything.
    fn write<T>(
        &self,
        inner: &mut Inner,
        body: impl FnOnce(&mut Tables<'_>, &mut Inner) -> Tx<T>,
    ) -> Result<T, Error> {
        self.transact(inner, |txn, inner| {
            let mut tables = Tables::open(txn, inner.bytes)?;
            let value = body(&mut tables, inner)?;
            Ok((value, tables.dirty, tables.bytes))
        })
    }

    /// Runs a transaction, which gives whether it wrote anything and how many bytes all records
    /// have then. A commit that has returned survives a power cut, as far as the disk
    /// keeps its word.
    fn transact<T>(
        &self,
        inner: &mut Inner,
        body: impl FnOnce(&WriteTransaction, &mut Inner) -> Tx<(T, bool, u64)>,
    ) -> Result<T, Error> {
        let db = match inner.db.take() {
            Some(db) => db,
            None => self.begin(inner)?,
        };
        let run = |inner: &mut Inner| -> Tx<T> {
            let txn = db.begin_write()?;
            let (value, is_dirty, bytes) = body(&txn, inner)?;
            if is_dirty {
                txn.commit()?;
            } else {
                txn.abort()?;
            }
            inner.bytes = bytes;
            Ok(value)
        };
        match run(inner) {
            // The database is left closed: opening it repairs what a failed commit left.
            Err(fail @ Fail::Db(_)) => {
                drop(db);
                Err(self.fail(fail))
            }
            result => {
                inner.db = Some(db);
                result.map_err(|fail| self.fail(fail))
            }
        }
    }

    /// Opens the database, for the first time or after a failure of the storage, and clears up
    /// after the process that had it before.
    fn begin(&self, inner: &mut Inner) -> Result<Database, Error> {
        let db = self.database()?;
        let run = |inner: &mut Inner| -> Tx<u64> {
            let txn = db.begin_write()?;
            let mut tables = Tables::open(&txn, 0)?;
            if tables.count(M_FORMAT)? == 0 {
                tables.add(M_FORMAT, FORMAT, 0)?;
                drop(txn.open_table(BOOKMARKS)?);
            }
            tables.bytes = tables.count_bytes()?;
            tables.recover(inner, &self.limits)?;
            let (is_dirty, bytes) = (tables.dirty, tables.bytes);
            drop(tables);
            if is_dirty {
                txn.commit()?;
            } else {
                txn.abort()?;
            }
            Ok(bytes)
        };
        inner.bytes = run(inner).map_err(|fail| self.fail(fail))?;
        inner.opened = true;
        Ok(db)
    }

    /// Looks something up.
    fn read<T>(
        &self,
        inner: &mut Inner,
        body: impl FnOnce(&mut Tables<'_>) -> Tx<T>,
    ) -> Result<T, Error> {
        self.write(inner, |tables, _| body(tables))
    }

    /// Wakes the workers that wait for work.
    fn notify_work(&self, inner: &mut Inner) {
        self.work.notify_all();
        inner.notify.retain(|notify| notify());
    }
}

impl Engine for Embedded {
    fn push(&self, jobs: &[Prepared]) -> Result<Vec<Pushed>, Error> {
        let mut inner = self.lock();
        let pushed = self.transact(&mut inner, |txn, inner| {
            let (pushed, bytes) = push::push(txn, jobs, &self.limits, inner.bytes)?;
            let is_dirty = pushed.iter().any(|job| job.is_new);
            Ok((pushed, is_dirty, bytes))
        })?;
        if pushed.iter().any(|job| job.is_new) {
            self.notify_work(&mut inner);
        }
        Ok(pushed)
    }

    fn exchange(&self, ask: &Exchange<'_>) -> Result<Exchanged, Error> {
        self.run_exchange(ask)
    }

    fn status(&self, id: JobId) -> Result<Option<JobStatus>, Error> {
        self.find_status(id)
    }

    fn outcome(&self, id: JobId) -> Result<Option<Vec<u8>>, Error> {
        self.find_outcome(id)
    }

    fn cancel(&self, id: JobId, record: &[u8]) -> Result<Cancelled, Error> {
        self.cancel_job(id, record)
    }

    fn dead(&self, limit: usize) -> Result<Vec<JobStatus>, Error> {
        self.list_dead(limit)
    }

    fn retry_dead(&self, id: JobId) -> Result<bool, Error> {
        self.revive(id)
    }

    fn purge(&self, what: Purge) -> Result<u64, Error> {
        self.purge_some(what)
    }

    fn stats(&self) -> Result<QueueStats, Error> {
        self.count_all()
    }

    fn adopt_unreported(
        &self,
        worker: &str,
        _lease: Duration,
        is_start: bool,
    ) -> Result<Vec<JobId>, Error> {
        self.adopt(worker, is_start)
    }

    fn bookmark(&self, name: &str) -> Result<u64, Error> {
        self.read_bookmark(name)
    }

    fn set_bookmark(&self, name: &str, value: u64) -> Result<(), Error> {
        self.write_bookmark(name, value)
    }

    fn wait_for_work(&self, _worker: &str, timeout: Duration) -> Result<(), Error> {
        // A wake-up too many costs a look; a lost one cannot be: callers look again anyway.
        drop(self.work.wait_timeout(self.lock(), timeout));
        Ok(())
    }

    fn wake(&self, _worker: &str) -> Result<(), Error> {
        self.work.notify_all();
        Ok(())
    }

    fn wait_for_outcome(&self, id: JobId, timeout: Duration) {
        let inner = self.lock();
        // Looked at under the lock that the outcome is recorded under: none can slip by.
        let open = |inner: &mut Inner| {
            let found = self.read(inner, |tables| tables.state(id));
            matches!(found, Ok(Some(state)) if !state.state.is_final())
        };
        drop(self.ended.wait_timeout_while(inner, timeout, open));
    }

    fn subscribe(&self, notify: Notify) -> bool {
        self.lock().notify.push(notify);
        true
    }

    fn leave(&self, worker: &str) -> Result<(), Error> {
        self.lock().reporters.remove(worker);
        Ok(())
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("path", &self.path).finish_non_exhaustive()
    }
}
