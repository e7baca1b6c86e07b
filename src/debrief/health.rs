//! Health and stability, from counts of successes and errors.

use std::fmt;

/// The failure rate from which on it is [`Health::Degraded`]; below it is [`Health::Ok`].
const DEGRADED_FROM: f64 = 0.05;
/// The failure rate above which it is [`Health::Critical`].
const CRITICAL_ABOVE: f64 = 0.20;

/// A summary of the failure rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Less than 5 % failed.
    Ok,
    /// 5 to 20 % failed.
    Degraded,
    /// More than 20 % failed.
    Critical,
}

impl Health {
    /// The health at this failure rate, a fraction from 0 to 1.
    pub fn from_failure_rate(rate: f64) -> Self {
        if rate < DEGRADED_FROM {
            Self::Ok
        } else if rate <= CRITICAL_ABOVE {
            Self::Degraded
        } else {
            Self::Critical
        }
    }

    /// The health as reports show it: `🟢 OK`, `🟡 Degraded`, `🔴 Critical`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "🟢 OK",
            Self::Degraded => "🟡 Degraded",
            Self::Critical => "🔴 Critical",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The share of events that did not fail: 1 − errors / (success + errors), and 1.0 where
/// there is nothing.
pub fn compute_stability_score(success: u64, errors: u64) -> f64 {
    1.0 - failure_rate(success, errors)
}

/// Errors per event, from 0 to 1; 0 where there are no events.
pub(super) fn failure_rate(success: u64, errors: u64) -> f64 {
    if errors == 0 { 0.0 } else { errors as f64 / (success as f64 + errors as f64) }
}
