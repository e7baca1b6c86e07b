//! Ids of jobs.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::now_ms;

/// Names a job: 32 lower-case hex digits. The first 12 are the time of its making in
/// milliseconds, the next 8 count within this process, the rest is random. Ids sort in the
/// order of their making, within a process always, between processes as far as clocks agree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(u128);

/// Bits below the time, and of them those that are random.
const BELOW_TIME_BITS: u32 = 80;
const RANDOM_BITS: u32 = 48;

/// The time and the count of the id made last.
static LAST: Mutex<(u64, u32)> = Mutex::new((0, 0));

impl JobId {
    pub(crate) fn next() -> Self {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back stands still here until it has caught up.
        *last = match now_ms() {
            now if now > last.0 => (now, 0),
            _ => last.1.checked_add(1).map_or((last.0 + 1, 0), |count| (last.0, count)),
        };
        let (time, count) = *last;
        drop(last);
        let random = u128::from(random_u64() >> (u64::BITS - RANDOM_BITS));
        Self(u128::from(time) << BELOW_TIME_BITS | u128::from(count) << RANDOM_BITS | random)
    }

    #[cfg(feature = "embedded")]
    pub(crate) const fn bits(self) -> u128 {
        self.0
    }

    #[cfg(feature = "embedded")]
    pub(crate) const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }
}

/// 64 bits that no other call gives: std's hash keys come from the system's randomness.
pub(crate) fn random_u64() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    RandomState::new().hash_one(CALLS.fetch_add(1, Ordering::Relaxed))
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// The text is no job id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseJobIdError(());

impl fmt::Display for ParseJobIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job id is 32 lower-case hex digits")
    }
}

impl std::error::Error for ParseJobIdError {}

impl FromStr for JobId {
    type Err = ParseJobIdError;

    fn from_str(text: &str) -> Result<Self, ParseJobIdError> {
        // One spelling each: `from_str_radix` alone would take a sign and capitals.
        let hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 32 || !hex {
            return Err(ParseJobIdError(()));
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseJobIdError(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling_and_sort_in_their_order() {
        let id = JobId::next();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "0", &"A".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
        let ids: Vec<_> = (0..10_000).map(|_| JobId::next()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}
