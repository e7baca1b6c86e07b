//! A backend of a program's own, at its worst.

use std::panic::panic_any;
use std::time::Duration;

use crate::support::chance::Chance;
use automation_assistant::{AiBackend, Attempt, CallContext, ErrorKind, Reply, TaskError};

/// Longer than a task with a short time-out may take, and the quarter of a second that its
/// backend has to notice; shorter than a stop waits.
const OVERDUE: Duration = Duration::from_millis(450);

/// A panic's payload that panics when it is dropped.
pub struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("on purpose");
        }
    }
}

/// Panics when it is dropped.
pub struct BadDrop;

impl Drop for BadDrop {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

/// Answers, fails, panics, dawdles, by a schedule that follows from the seed and the prompt.
pub struct Moody(pub u64, pub BadDrop);

const KINDS: &[ErrorKind] = &[
    ErrorKind::Other,
    ErrorKind::Server,
    ErrorKind::NotFound,
    ErrorKind::Authentication,
    ErrorKind::RateLimited,
    ErrorKind::Unsupported,
];

impl AiBackend for Moody {
    fn name(&self) -> &str {
        "Moody"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let number = call.prompt().trim_start_matches("soak-").split('.').next();
        let number: u64 = number.unwrap().parse().unwrap();
        let mut chance = Chance::new(self.0, number | 1 << 62);
        match chance.below(40) {
            0..=2 => panic!("on purpose"),
            3 => panic_any(Bomb),
            4..=7 => {
                call.pause(chance.millis(1, 400))?;
                Ok(Reply::new("paused"))
            }
            // Deaf to its cancel signal, for a while.
            8..=10 => {
                std::thread::sleep(chance.millis(1, 30));
                Ok(Reply::new("deaf"))
            }
            // Longer than most tasks may take: somebody else must end them.
            11 => {
                std::thread::sleep(OVERDUE);
                Ok(Reply::new("overdue"))
            }
            12..=15 => Err(TaskError::new(*chance.pick(KINDS), "on purpose")),
            16 => Ok(Reply::new("x".repeat(100_000))),
            17..=22 => {
                for attempt in 0..chance.below(4) {
                    if attempt > 0 {
                        call.begin_attempt();
                    }
                    call.check()?;
                    let error = TaskError::new(ErrorKind::Server, "on purpose");
                    call.end_attempt(&Attempt::new(chance.one_in(2).then_some(&error)));
                }
                for _ in 0..chance.below(20) {
                    call.send_text("delta ")?;
                }
                Ok(Reply::new("delta ".repeat(3)))
            }
            _ => Ok(Reply::new(call.prompt().len().to_string())),
        }
    }
}
