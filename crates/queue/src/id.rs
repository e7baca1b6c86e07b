//! Ids of jobs.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::now_ms;

/// Names a job: 32 lower-case hex digits, 12 of them the time of its making in milliseconds,
/// the rest random. Ids sort by the time of their making, as far as clocks agree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(u128);

/// Bits that are random.
const RANDOM_BITS: u32 = 80;

impl JobId {
    pub(crate) fn next() -> Self {
        let random = u128::from(random_u64()) << 64 | u128::from(random_u64());
        Self(u128::from(now_ms()) << RANDOM_BITS | random >> (128 - RANDOM_BITS))
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
    fn ids_have_one_spelling_and_do_not_repeat() {
        let id = JobId::next();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "0", &"A".repeat(32), &"+".repeat(32), &"0".repeat(33)] {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| JobId::next()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
