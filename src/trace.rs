//! Ids of traces, and a request's settings for its trace. Independent of any tracing service.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::id::random_u64;

/// The id of a trace: a UUID of version 7, which begins with the time of its creation.
///
/// The ids of one process are increasing, even if the clock is set back.
///
/// ```
/// use automation_assistant::opik::TraceId;
///
/// let (first, second) = (TraceId::new(), TraceId::new());
/// assert!(first < second);
/// assert_eq!(first.to_string().parse(), Ok(first));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

/// Bits for the order within one millisecond (RFC 9562: `rand_a`).
const ORDER_BITS: u32 = 12;
/// Random bits at the end (RFC 9562: `rand_b`).
const CHANCE_BITS: u32 = 62;
const VERSION: u128 = 7 << 76;
const VARIANT: u128 = 0b10 << CHANCE_BITS;

/// Milliseconds and order of the latest id. Process-wide, so that all ids increase.
static LAST: AtomicU64 = AtomicU64::new(0);

impl TraceId {
    /// A new id with the current time.
    #[allow(clippy::new_without_default)] // No two are equal: nothing is a default.
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX) & (u64::MAX >> 16);
        let now = millis << ORDER_BITS;
        let next = |last: u64| now.max(last.saturating_add(1));
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        Self::assemble(next(last.unwrap_or_default()), random_u64())
    }

    /// An id of this time (milliseconds, then order) and these random bits.
    fn assemble(moment: u64, chance: u64) -> Self {
        let moment = u128::from(moment);
        let (millis, order) = (moment >> ORDER_BITS, moment & ((1 << ORDER_BITS) - 1));
        let chance = u128::from(chance) & ((1 << CHANCE_BITS) - 1);
        Self(millis << 80 | VERSION | order << 64 | VARIANT | chance)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            id >> 80 & 0xffff,
            id >> 64 & 0xffff,
            id >> 48 & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

/// The text is not a UUID of version 7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseTraceIdError;

impl fmt::Display for ParseTraceIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trace id is a UUID of version 7 in lower case, as TraceId::new makes them")
    }
}

impl std::error::Error for ParseTraceIdError {}

impl FromStr for TraceId {
    type Err = ParseTraceIdError;

    fn from_str(text: &str) -> Result<Self, ParseTraceIdError> {
        let digits = text.replace('-', "");
        let id = u128::from_str_radix(&digits, 16).map(Self).map_err(|_| ParseTraceIdError)?;
        let is_seven = id.0 & (0xf << 76) == VERSION && id.0 & (0b11 << CHANCE_BITS) == VARIANT;
        // One spelling each: what `Display` writes.
        if is_seven && id.to_string() == text { Ok(id) } else { Err(ParseTraceIdError) }
    }
}

/// A request's settings for its trace.
#[derive(Debug, Clone, Default)]
pub(crate) struct TraceNote {
    pub(crate) id: Option<TraceId>,
    pub(crate) conversation: Option<String>,
    pub(crate) tags: Vec<String>,
}

/// Most tags of one request.
const TAGS_MAX: usize = 20;
/// Longest tag, in bytes (Opik's own bound where tags are changed).
pub(crate) const TAG_BYTES_MAX: usize = 100;
/// Longest name of a conversation, in bytes.
const CONVERSATION_BYTES_MAX: usize = 256;

impl TraceNote {
    /// # Errors
    ///
    /// A description of the first setting that is out of bounds.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.tags.len() > TAGS_MAX {
            return Err(format!("there are more than {TAGS_MAX} trace tags: leave some out"));
        }
        if self.tags.iter().any(|tag| !is_name(tag, TAG_BYTES_MAX)) {
            return Err(format!(
                "a trace tag must have 1 to {TAG_BYTES_MAX} bytes without control characters"
            ));
        }
        match &self.conversation {
            Some(id) if !is_name(id, CONVERSATION_BYTES_MAX) => Err(format!(
                "a conversation's name must have 1 to {CONVERSATION_BYTES_MAX} bytes without \
                 control characters"
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a text is a valid name.
pub(crate) fn is_name(text: &str, bytes_max: usize) -> bool {
    !text.trim().is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_version_7_and_contain_their_time() {
        // The example of RFC 9562, appendix A.6: 2022-02-22, 1645557742000 ms.
        let moment = 1_645_557_742_000 << ORDER_BITS | 0xcc3;
        let id = TraceId::assemble(moment, 0x18c4_dc0c_0c07_398f);
        assert_eq!(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(id.to_string().parse(), Ok(id));
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let now = TraceId::new().0 >> 80;
        assert!(now >= before && now < before + 60_000);
    }

    #[test]
    fn ids_of_all_threads_rise_and_never_repeat() {
        let make = || (0..20_000).map(|_| TraceId::new()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let mut all = std::collections::HashSet::new();
        for thread in threads {
            let ids = thread.join().unwrap();
            assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
            all.extend(ids);
        }
        assert_eq!(all.len(), 80_000);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in [
            "",
            "017f22e279b07cc398c4dc0c0c07398f",
            "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
            "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
            "017f22e2-79b0-7cc3-58c4-dc0c0c07398f",
            "+17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        ] {
            assert_eq!(bad.parse::<TraceId>(), Err(ParseTraceIdError), "{bad}");
        }
    }
}
