//! Ids of helpers and tasks.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The id of a helper: eight hex digits.
///
/// Unique within the process; the series starts at a random value in each run, so that ids of two
/// runs in one audit file rarely collide (and `run_id` distinguishes them if they do).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HelperId(u32);

/// The id of a task: the id of its helper, a hyphen, and the task's number there in hex.
///
/// A task id is unknown to every helper but its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    helper: HelperId,
    number: u64,
}

/// Odd, so that stepping by it visits every `u32` before one repeats; large, so that successive
/// ids look different to a person (2^32 divided by the golden ratio).
const ID_STEP: u32 = 0x9E37_79B9;

/// The next helper id. Process-wide, because ids must be unique across managers.
static NEXT_HELPER: OnceLock<AtomicU32> = OnceLock::new();

/// A random number from the standard library's own hash seed: no crate, no file.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().hash_one(ID_STEP)
}

impl HelperId {
    pub(crate) fn next() -> Self {
        let next = NEXT_HELPER.get_or_init(|| AtomicU32::new(random_u64() as u32));
        Self(next.fetch_add(ID_STEP, Ordering::Relaxed))
    }

    /// The id's eight digits as a number, for code that writes them without `Display`.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

impl TaskId {
    pub(crate) const fn new(helper: HelperId, number: u64) -> Self {
        Self { helper, number }
    }

    /// The helper that the task was submitted to.
    pub const fn helper_id(self) -> HelperId {
        self.helper
    }

    /// The task's number at its helper, counted from 1.
    pub(crate) const fn number(self) -> u64 {
        self.number
    }
}

/// The text is not a helper id or task id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIdError(&'static str);

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ParseIdError {}

/// Digits of a helper id, and the least number of digits of a task's number.
const HEX_DIGITS: usize = 8;

const BAD_HELPER: ParseIdError = ParseIdError("a helper id is eight hex digits, like 1f2e3d4c");
const BAD_TASK: ParseIdError =
    ParseIdError("a task id is a helper id, a hyphen and hex digits, like 1f2e3d4c-00000001");

/// Lower-case hex digits only: what `Display` writes and nothing else, so that an id has one
/// spelling (`from_str_radix` alone would take a sign and capitals).
fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for HelperId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.len() != HEX_DIGITS || !is_hex(text) {
            return Err(BAD_HELPER);
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|_| BAD_HELPER)
    }
}

impl FromStr for TaskId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (helper, number) = text.split_once('-').ok_or(BAD_TASK)?;
        let padded = number.len() > HEX_DIGITS && number.starts_with('0');
        if number.len() < HEX_DIGITS || padded || !is_hex(number) {
            return Err(BAD_TASK);
        }
        Ok(Self {
            helper: helper.parse().map_err(|_| BAD_TASK)?,
            number: u64::from_str_radix(number, 16).map_err(|_| BAD_TASK)?,
        })
    }
}

impl fmt::Display for HelperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.helper, self.number)
    }
}

impl fmt::Debug for HelperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HelperId({self})")
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

impl Serialize for HelperId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads any `FromStr` type from a JSON string, borrowed or owned.
struct FromText<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = ParseIdError>> de::Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for HelperId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromText(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_text_form_and_refuse_any_other() {
        let helper = HelperId(0x00ab_cdef);
        assert_eq!(helper.to_string(), "00abcdef");
        assert_eq!("00abcdef".parse(), Ok(helper));
        let task = TaskId::new(helper, 0x1_2345_6789);
        assert_eq!(task.to_string(), "00abcdef-123456789");
        assert_eq!("00abcdef-123456789".parse(), Ok(task));
        for bad in ["", "abcdef", "+0abcdef", "00ABCDEF", "00abcdef0"] {
            assert!(bad.parse::<HelperId>().is_err(), "{bad}");
        }
        for bad in ["00abcdef", "00abcdef-1", "00abcdef-012345678", "00abcdef-+0000001"] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn helper_ids_do_not_repeat() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| HelperId::next()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
