//! A push: as few tables, pages and steps as there can be, since each push waits for the disk.

use redb::{ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::tables::{Fresh, KEYS, PARKED, READY, Tx, WORKING};
use crate::engine::{Prepared, Pushed};
use crate::error::Error;
use crate::id::JobId;
use crate::limits::Limits;

/// Adds the jobs that are not there; the transaction is aborted where a bound is reached. Gives
/// the bytes of all records from then on.
pub(super) fn push(
    txn: &WriteTransaction,
    jobs: &[Prepared],
    limits: &Limits,
    mut bytes: u64,
) -> Tx<(Vec<Pushed>, u64)> {
    let mut ready = txn.open_table(READY)?;
    let mut keys = match jobs.iter().any(|job| job.key.is_some()) {
        true => Some(txn.open_table(KEYS)?),
        false => None,
    };
    let leased = txn.open_table(WORKING)?.len()? + txn.open_table(PARKED)?.len()?;
    let mut open = ready.len()? + leased;
    let mut pushed = Vec::with_capacity(jobs.len());
    for job in jobs {
        if let Some(id) = known(keys.as_ref(), job)? {
            pushed.push(Pushed { id, is_new: false });
            continue;
        }
        (open, bytes) = (open + 1, bytes + job.record.len() as u64);
        if open > limits.max_jobs {
            let why = format!("it has max_jobs, {} jobs", limits.max_jobs);
            return Err(Error::Full(why).into());
        }
        if bytes > limits.max_bytes {
            let why = format!("its records have max_bytes, {} bytes", limits.max_bytes);
            return Err(Error::Full(why).into());
        }
        if let (Some(keys), Some(key)) = (&mut keys, &job.key) {
            keys.insert(key.as_str(), job.id.bits())?;
        }
        ready.insert((job.lane, job.id.bits()), Fresh::write(job).as_slice())?;
        pushed.push(Pushed { id: job.id, is_new: true });
    }
    Ok((pushed, bytes))
}

fn known(keys: Option<&Table<'_, &'static str, u128>>, job: &Prepared) -> Tx<Option<JobId>> {
    let (Some(keys), Some(key)) = (keys, &job.key) else { return Ok(None) };
    Ok(keys.get(key.as_str())?.map(|id| JobId::from_bits(id.value())))
}
