//! The tables of a queue's file, and the state of a job as it stands in one of them.

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde_json::{Map, Value, json};

use super::lanes::LANES;
use crate::clock::from_ms;
use crate::engine::{LEASE_MAX_MS, Prepared, REASONS_MAX, clean_reason};
use crate::error::Error;
use crate::id::JobId;
use crate::state::{JobState, JobStatus};

/// The format that this version writes.
pub(crate) const FORMAT: u64 = 1;

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const RECORDS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("records");
pub(crate) const STATES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("states");
/// Jobs that wait, by lane and id. The value is a [`Fresh`] job, or empty for one that was
/// leased before and stands in [`STATES`] and [`RECORDS`].
pub(crate) const READY: TableDefinition<'_, (u8, u128), &[u8]> = TableDefinition::new("ready");
pub(crate) const PARKED: TableDefinition<'_, (u64, u128), ()> = TableDefinition::new("parked");
pub(crate) const WORKING: TableDefinition<'_, u128, ()> = TableDefinition::new("working");
pub(crate) const OUTCOMES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("outcomes");
pub(crate) const DONE: TableDefinition<'_, u64, u128> = TableDefinition::new("done");
pub(crate) const DEAD: TableDefinition<'_, u64, u128> = TableDefinition::new("dead");
pub(crate) const KEYS: TableDefinition<'_, &str, u128> = TableDefinition::new("keys");
pub(crate) const UNREPORTED: TableDefinition<'_, u64, u128> = TableDefinition::new("unreported");
pub(crate) const BOOKMARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("bookmarks");

/// Counters in [`META`].
pub(crate) const M_FORMAT: &str = "format";
pub(crate) const M_SEQ: &str = "seq";
pub(crate) const M_GONE: &str = "gone";
pub(crate) const M_FINISHED: &str = "finished";
pub(crate) const M_REDELIVERED: &str = "redelivered";
pub(crate) const M_FENCED: &str = "fenced";
pub(crate) const M_DROPPED: &str = "results_dropped";

/// Why a transaction is given up.
#[derive(Debug)]
pub(crate) enum Fail {
    /// The storage failed.
    Db(redb::Error),
    /// A refusal of our own.
    Own(Error),
}

/// Result inside a transaction.
pub(crate) type Tx<T> = Result<T, Fail>;

macro_rules! fail_from {
    ($($kind:ident),*) => {
        $(impl From<redb::$kind> for Fail {
            fn from(error: redb::$kind) -> Self {
                Self::Db(error.into())
            }
        })*
    };
}
fail_from!(StorageError, TableError, TransactionError, CommitError);

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// All tables of one write transaction.
pub(crate) struct Tables<'t> {
    pub(crate) meta: Table<'t, &'static str, u64>,
    pub(crate) records: Table<'t, u128, &'static [u8]>,
    pub(crate) states: Table<'t, u128, &'static [u8]>,
    pub(crate) ready: Table<'t, (u8, u128), &'static [u8]>,
    pub(crate) parked: Table<'t, (u64, u128), ()>,
    pub(crate) working: Table<'t, u128, ()>,
    pub(crate) outcomes: Table<'t, u128, &'static [u8]>,
    pub(crate) done: Table<'t, u64, u128>,
    pub(crate) dead: Table<'t, u64, u128>,
    pub(crate) keys: Table<'t, &'static str, u128>,
    pub(crate) unreported: Table<'t, u64, u128>,
    /// Whether anything was written: a transaction without is not committed.
    pub(crate) dirty: bool,
    /// Bytes of all records. Counted in memory: a push is to write as little as can be.
    pub(crate) bytes: u64,
}

impl<'t> Tables<'t> {
    pub(crate) fn open(txn: &'t WriteTransaction, bytes: u64) -> Tx<Self> {
        Ok(Self {
            meta: txn.open_table(META)?,
            records: txn.open_table(RECORDS)?,
            states: txn.open_table(STATES)?,
            ready: txn.open_table(READY)?,
            parked: txn.open_table(PARKED)?,
            working: txn.open_table(WORKING)?,
            outcomes: txn.open_table(OUTCOMES)?,
            done: txn.open_table(DONE)?,
            dead: txn.open_table(DEAD)?,
            keys: txn.open_table(KEYS)?,
            unreported: txn.open_table(UNREPORTED)?,
            dirty: false,
            bytes,
        })
    }

    pub(crate) fn count(&self, name: &str) -> Tx<u64> {
        Ok(self.meta.get(name)?.map_or(0, |value| value.value()))
    }

    /// Changes a counter; what would be below zero is zero.
    pub(crate) fn add(&mut self, name: &'static str, up: u64, down: u64) -> Tx<()> {
        self.dirty = true;
        let value = self.count(name)?.saturating_add(up).saturating_sub(down);
        self.meta.insert(name, value)?;
        Ok(())
    }

    /// The next number of the one sequence of a file.
    pub(crate) fn next_seq(&mut self) -> Tx<u64> {
        self.add(M_SEQ, 1, 0)?;
        self.count(M_SEQ)
    }

    pub(crate) fn state(&self, id: JobId) -> Tx<Option<State>> {
        if let Some(found) = self.states.get(id.bits())? {
            return Ok(Some(State::read(found.value())?));
        }
        for lane in 0..LANES as u8 {
            if let Some(found) = self.ready.get((lane, id.bits()))?
                && let Some(fresh) = Fresh::read(found.value())
            {
                return Ok(Some(fresh.state(lane)));
            }
        }
        Ok(None)
    }

    /// Counts the bytes of all records.
    pub(crate) fn count_bytes(&self) -> Tx<u64> {
        let mut bytes = 0;
        for entry in self.states.iter()? {
            bytes += State::read(entry?.1.value())?.bytes;
        }
        for entry in self.ready.iter()? {
            bytes += Fresh::read(entry?.1.value()).map_or(0, |fresh| fresh.record.len() as u64);
        }
        Ok(bytes)
    }

    pub(crate) fn put_state(&mut self, id: JobId, state: &State) -> Tx<()> {
        self.dirty = true;
        self.states.insert(id.bits(), state.write().as_slice())?;
        Ok(())
    }
}

/// A job that was never leased: one row holds all there is of it.
pub(crate) struct Fresh<'r> {
    max_deliveries: u32,
    pushed_ms: u64,
    pub(crate) tools: &'r str,
    key: &'r str,
    pub(crate) record: &'r [u8],
}

impl<'r> Fresh<'r> {
    pub(crate) fn write(job: &Prepared) -> Vec<u8> {
        let key = job.key.as_deref().unwrap_or_default();
        let mut row = Vec::with_capacity(16 + job.tools.len() + key.len() + job.record.len());
        row.extend(job.max_deliveries.to_le_bytes());
        row.extend(job.pushed_ms.to_le_bytes());
        for text in [job.tools.as_str(), key] {
            // Both are bounded far below: sixteen names of 64 bytes, a key of 256.
            row.extend(u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
            row.extend(text.as_bytes());
        }
        row.extend(&job.record);
        row
    }

    /// Nothing for a row that is no fresh job.
    pub(crate) fn read(row: &'r [u8]) -> Option<Self> {
        let (max_deliveries, row) = row.split_first_chunk()?;
        let (pushed_ms, row) = row.split_first_chunk()?;
        let text = |row: &'r [u8]| {
            let (len, row) = row.split_first_chunk()?;
            let (text, row) = row.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            Some((std::str::from_utf8(text).ok()?, row))
        };
        let (tools, row) = text(row)?;
        let (key, record) = text(row)?;
        Some(Self {
            max_deliveries: u32::from_le_bytes(*max_deliveries).max(1),
            pushed_ms: u64::from_le_bytes(*pushed_ms),
            tools,
            key,
            record,
        })
    }

    pub(crate) fn state(&self, lane: u8) -> State {
        State {
            state: JobState::Submitted,
            dead: false,
            cancel_asked: false,
            attempt: 0,
            deliveries: 0,
            max_deliveries: self.max_deliveries,
            lane,
            tools: self.tools.to_owned(),
            key: (!self.key.is_empty()).then(|| self.key.to_owned()),
            pushed_ms: self.pushed_ms,
            finished_ms: 0,
            order: 0,
            worker: None,
            pause_ms: 0,
            bytes: self.record.len() as u64,
            reasons: Vec::new(),
        }
    }
}

/// The changing part of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) state: JobState,
    pub(crate) dead: bool,
    pub(crate) cancel_asked: bool,
    pub(crate) attempt: u32,
    pub(crate) deliveries: u32,
    pub(crate) max_deliveries: u32,
    pub(crate) lane: u8,
    pub(crate) tools: String,
    pub(crate) key: Option<String>,
    pub(crate) pushed_ms: u64,
    /// When it was finished or died; 0 before.
    pub(crate) finished_ms: u64,
    /// Its place among the finished or the dead.
    pub(crate) order: u64,
    pub(crate) worker: Option<String>,
    /// Its last pause between two deliveries.
    pub(crate) pause_ms: u64,
    /// Bytes that count for the bound: of the record, or of the outcome once there is one.
    pub(crate) bytes: u64,
    pub(crate) reasons: Vec<String>,
}

impl State {
    pub(crate) fn write(&self) -> Vec<u8> {
        json!({
            "state": self.state.as_str(), "dead": self.dead, "cancel": self.cancel_asked,
            "attempt": self.attempt, "deliveries": self.deliveries,
            "max_deliveries": self.max_deliveries, "lane": self.lane,
            "tools": self.tools, "key": self.key, "pushed": self.pushed_ms,
            "finished": self.finished_ms, "order": self.order, "worker": self.worker,
            "pause": self.pause_ms, "bytes": self.bytes,
            "reasons": self.reasons,
        })
        .to_string()
        .into_bytes()
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let bad = || Error::BadRecord("a job's state in the file is damaged".to_owned());
        let map: Map<String, Value> = serde_json::from_slice(bytes).map_err(|_| bad())?;
        let number = |name: &str| map.get(name).and_then(Value::as_u64).unwrap_or(0);
        let small = |name: &str| u32::try_from(number(name)).unwrap_or(u32::MAX);
        let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
        let flag = |name: &str| map.get(name).and_then(Value::as_bool).unwrap_or(false);
        let reasons = map.get("reasons").and_then(Value::as_array);
        let reasons = reasons.into_iter().flatten().filter_map(|reason| reason.as_str());
        Ok(Self {
            state: text("state").and_then(|state| state.parse().ok()).ok_or_else(bad)?,
            dead: flag("dead"),
            cancel_asked: flag("cancel"),
            attempt: small("attempt"),
            deliveries: small("deliveries"),
            max_deliveries: small("max_deliveries").max(1),
            lane: u8::try_from(number("lane")).unwrap_or(u8::MAX),
            tools: text("tools").unwrap_or_default(),
            key: text("key"),
            pushed_ms: number("pushed"),
            finished_ms: number("finished"),
            order: number("order"),
            worker: text("worker"),
            // Of a version that did not say so: the longest.
            pause_ms: map.get("pause").and_then(Value::as_u64).unwrap_or(LEASE_MAX_MS),
            bytes: number("bytes"),
            reasons: reasons.map(str::to_owned).collect(),
        })
    }

    /// Adds a reason; the oldest ones go.
    pub(crate) fn add_reason(&mut self, reason: &str) {
        if self.reasons.len() >= REASONS_MAX {
            self.reasons.drain(..=self.reasons.len() - REASONS_MAX);
        }
        self.reasons.push(clean_reason(reason));
    }

    pub(crate) fn status(self, id: JobId) -> JobStatus {
        JobStatus {
            id,
            key: self.key,
            state: self.state,
            dead: self.dead,
            cancel_asked: self.cancel_asked && self.state == JobState::Working,
            deliveries: self.deliveries,
            attempt: self.attempt,
            worker: self.worker,
            pushed_at: from_ms(self.pushed_ms),
            finished_at: (self.finished_ms > 0).then(|| from_ms(self.finished_ms)),
            reasons: self.reasons,
        }
    }
}
