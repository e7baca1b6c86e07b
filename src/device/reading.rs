//! A value that a device may or may not report.

use std::fmt;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::number::Rounded;

/// The advice for a command that hangs, the usual cause of a time-out: files of `/proc` and
/// `/sys` answer at once.
const HANG_TODO: &str = "a termux- command hangs without its app: install Termux:API from where \
                         Termux came from, and open it once";

/// A value of the device, or the reason why there is none.
///
/// In JSON a value is written as it is; the others are `{"unavailable": "why"}` and
/// `{"timed_out_seconds": 2.0}`.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading<T> {
    /// The value.
    Value(T),
    /// The device does not report it; the text says why and, where possible, what to do.
    Unavailable(String),
    /// The device did not answer within this limit.
    TimedOut(Duration),
}

impl<T> Reading<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// The value by itself, if there is one.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Whether there is a value.
    pub fn is_value(&self) -> bool {
        matches!(self, Self::Value(_))
    }

    /// Why there is no value; `None` if there is one.
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Value(_) => None,
            Self::Unavailable(why) => Some(why.clone()),
            Self::TimedOut(limit) => Some(late(*limit)),
        }
    }

    /// The same outcome with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Value(value) => Reading::Value(change(value)),
            Self::Unavailable(why) => Reading::Unavailable(why),
            Self::TimedOut(limit) => Reading::TimedOut(limit),
        }
    }

    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable(why.into())
    }
}

impl<T> From<Result<T, NoReading>> for Reading<T> {
    fn from(outcome: Result<T, NoReading>) -> Self {
        match outcome {
            Ok(value) => Self::Value(value),
            Err(NoReading::Unavailable(why) | NoReading::Denied(why)) => Self::Unavailable(why),
            Err(NoReading::TimedOut(limit)) => Self::TimedOut(limit),
        }
    }
}

/// The text of a reading that timed out.
pub(crate) fn late(limit: Duration) -> String {
    format!("no answer within {}; {HANG_TODO}", Rounded(limit))
}

impl<T: fmt::Display> fmt::Display for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::TimedOut(limit) => f.write_str(&late(*limit)),
        }
    }
}

impl<T: Serialize> Serialize for Reading<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Unavailable(why) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("unavailable", why)?;
                map.end()
            }
            Self::TimedOut(limit) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("timed_out_seconds", &limit.as_secs_f64())?;
                map.end()
            }
        }
    }
}

/// A reading that failed, for `?` within a probe.
#[derive(Debug)]
pub(crate) enum NoReading {
    Unavailable(String),
    /// The system denies an existing file; Android does so to programs without root.
    Denied(String),
    TimedOut(Duration),
}

impl NoReading {
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Self::Unavailable(why.into())
    }
}

pub(crate) type Probed<T> = Result<T, NoReading>;
