//! The entries that could not be sent yet: one batch in memory, or any number of entries in the
//! spool file. Updates the queue's counts of pending, spooled and dropped entries.

use std::io;

use crate::opik::item::TraceEntry;
use crate::opik::shared::SinkShared;
use crate::opik::spool::Spool;

/// Entries that are sent together.
pub(super) struct TraceBatch {
    pub(super) entries: Vec<TraceEntry>,
    /// Whether the batch was read from the spool file, which still has it.
    pub(super) in_spool: bool,
    /// How often Opik answered it with a server error.
    pub(super) faults: u32,
}

impl TraceBatch {
    /// A batch from the queue.
    pub(super) fn new(entries: Vec<TraceEntry>) -> Self {
        Self { entries, in_spool: false, faults: 0 }
    }

    /// Number of entries, and their bytes of memory.
    pub(super) fn size(&self) -> (usize, usize) {
        size(&self.entries)
    }
}

/// Number of entries, and their bytes of memory.
pub(super) fn size(entries: &[TraceEntry]) -> (usize, usize) {
    (entries.len(), entries.iter().map(TraceEntry::bytes).sum())
}

/// The entries that could not be sent yet; see the module.
pub(super) struct Backlog<'a> {
    shared: &'a SinkShared,
    spool: Option<Spool>,
    held: Option<TraceBatch>,
    /// How many entries at the spool's head were tried before they were spooled.
    tried: usize,
}

impl<'a> Backlog<'a> {
    pub(super) fn new(shared: &'a SinkShared, spool: Option<Spool>) -> Self {
        Self { shared, spool, held: None, tried: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_none() && self.spooled() == 0
    }

    /// Whether further entries may be taken from the queue: while a batch is held in memory only,
    /// the next one waits.
    pub(super) fn has_capacity(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.in_spool)
    }

    pub(super) fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// Entries in the spool file.
    pub(super) fn spooled(&self) -> u64 {
        self.spool.as_ref().map_or(0, Spool::lines)
    }

    /// The batch to send again: the held one, or the oldest of the spool.
    pub(super) fn take(&mut self) -> Option<TraceBatch> {
        if let Some(held) = self.held.take() {
            self.shared.lock().queue.retried += held.entries.len() as u64;
            return Some(held);
        }
        let entries = self.take_spooled()?;
        let again = std::mem::take(&mut self.tried).min(entries.len());
        self.shared.lock().queue.retried += again as u64;
        Some(TraceBatch { entries, in_spool: true, faults: 0 })
    }

    fn take_spooled(&mut self) -> Option<Vec<TraceEntry>> {
        let spool = self.spool.as_mut()?;
        match spool.take_batch() {
            Ok((entries, damaged)) => {
                self.shared.lock().queue.dropped += damaged;
                if entries.is_empty() {
                    self.settle(0, 0, true);
                    return None;
                }
                Some(entries)
            }
            Err(_) => {
                self.give_up_spool("the trace spool cannot be read: it is left as it is");
                None
            }
        }
    }

    /// Keeps a batch for later: in the spool, if there is one.
    pub(super) fn hold(&mut self, batch: TraceBatch) {
        if !batch.in_spool && self.spool.is_some() {
            self.tried = batch.entries.len();
            self.put_by(batch.entries);
        } else {
            self.held = Some(batch);
        }
    }

    /// Keeps a batch that Opik will not accept in this run: entries in no file are spooled, or
    /// dropped if there is no spool.
    pub(super) fn keep_for_next_run(&mut self, batch: TraceBatch) {
        if !batch.in_spool {
            self.put_by(batch.entries);
        }
    }

    /// The same for the held batch.
    pub(super) fn keep_held_for_next_run(&mut self) {
        if let Some(held) = self.held.take() {
            self.keep_for_next_run(held);
        }
    }

    /// Moves entries from the queue to the spool; without a spool they are dropped.
    pub(super) fn put_by(&mut self, entries: Vec<TraceEntry>) {
        let (items, bytes) = size(&entries);
        let outcome = match &mut self.spool {
            Some(spool) => spool.append(&entries),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let spooled = self.spooled();
        let mut state = self.shared.lock();
        match outcome {
            Ok(dropped) => state.queue.dropped += dropped,
            Err(_) => {
                // The entries before the failure are in the file.
                let put = spooled.saturating_sub(state.queue.spooled).min(items as u64);
                state.queue.dropped += items as u64 - put;
                if self.spool.is_some() {
                    state.queue.last_error = Some("the trace spool cannot be written");
                }
            }
        }
        state.queue.settle(items, bytes);
        state.queue.spooled = spooled;
        drop(state);
        self.shared.progress.notify_all();
    }

    /// Accounts for this many entries of a batch, and bytes, as sent or dropped.
    pub(super) fn settle(&mut self, items: usize, bytes: usize, in_spool: bool) {
        if in_spool {
            self.commit();
        } else {
            self.shared.lock().queue.settle(items, bytes);
        }
        self.shared.progress.notify_all();
    }

    fn commit(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let outcome = spool.commit();
        self.shared.lock().queue.spooled = self.spooled();
        if outcome.is_err() {
            self.give_up_spool("the trace spool cannot be shortened: it may be sent once more");
        }
    }

    /// A file that fails is not used again in this run; the next run sends its entries.
    fn give_up_spool(&mut self, words: &'static str) {
        self.spool = None;
        let mut state = self.shared.lock();
        state.queue.spooled = 0;
        state.queue.last_error = Some(words);
        drop(state);
        self.shared.progress.notify_all();
    }
}
