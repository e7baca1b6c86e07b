//! The meaning of a failed task for its job.

use std::time::Duration;

use automation_assistant::{ErrorKind, TaskError};

/// Longest pause of a job between two deliveries, and of a helper after a failure that asks
/// for a human.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The consequence of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the job's outcome.
    Final,
    /// Another delivery may do better.
    Again,
    /// This worker cannot, until a human changes something; another may.
    NotHere,
}

pub(super) fn verdict(kind: ErrorKind) -> Verdict {
    match kind {
        ErrorKind::Authentication
        | ErrorKind::PermissionDenied
        | ErrorKind::NotFound
        | ErrorKind::QuotaExceeded => Verdict::NotHere,
        ErrorKind::Timeout
        | ErrorKind::Cancelled
        | ErrorKind::Terminated
        | ErrorKind::Panicked
        | ErrorKind::RateLimited
        | ErrorKind::Server
        | ErrorKind::Network
        | ErrorKind::Other => Verdict::Again,
        // Invalid, too long, filtered, truncated, too large, unsupported, out of protocol: the
        // same job would fail the same way.
        _ => Verdict::Final,
    }
}

/// The pause after so many deliveries: doubled with each, at least what the provider asks for.
pub(super) fn pause(base: Duration, deliveries: u32, error: &TaskError) -> Duration {
    let doubled = base.saturating_mul(1 << deliveries.saturating_sub(1).min(16));
    let asked = error.retry_after().unwrap_or_default();
    doubled.max(asked).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end_and_heed_the_provider() {
        let error = TaskError::new(ErrorKind::Server, "x");
        let base = Duration::from_secs(1);
        let seconds = |deliveries| pause(base, deliveries, &error).as_secs();
        assert_eq!([1, 2, 3, 7, 40].map(seconds), [1, 2, 4, 60, 60]);
        assert_eq!(pause(Duration::MAX, 40, &error), PAUSE_MAX);
        let asked = error.with_retry_after(Duration::from_secs(9));
        assert_eq!(pause(base, 1, &asked).as_secs(), 9);
    }
}
