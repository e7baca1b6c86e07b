//! A Local-only program: one helper, a prompt, an answer.
//!
//! `local [TASKS [wait]]`: so many tasks; with `wait` it says `READY` and rests until its
//! input ends.

#[path = "../local.rs"]
mod local;

fn main() -> Result<(), automation_assistant::Error> {
    local::run(automation_assistant::AutomationAssistantManager::new(MAX_HELPERS))
}

const MAX_HELPERS: usize = 16;
