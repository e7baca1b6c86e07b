//! Work that survives the process: kill it anywhere, run it again, and it goes on.
//!
//! ```sh
//! cargo run --release --example resume -- jobs.redb --jobs 100
//! ```
//!
//! Prints `finished KEY` for each outcome once it is on the disk. A line that a kill may have
//! swallowed is printed again, first thing in the next run.

mod common;

use std::path::Path;
use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, HelperConfig};
use automation_assistant_queue::{Job, JobQueue, Limits, Stop, Worker};
use common::{Args, exit, say};

const USAGE: &str = "usage: resume FILE --jobs N [--latency-ms M]";
/// Outcomes are kept for as long as anybody may run this again.
const KEPT: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Jobs pushed in one step.
const STEP: u64 = 500;

fn main() {
    exit(run(), USAGE)
}

fn run() -> Result<(), String> {
    let mut args = Args::new();
    let jobs: u64 = args.value("--jobs")?.ok_or("how many jobs?")?;
    let latency_ms: u64 = args.value("--latency-ms")?.unwrap_or(20);
    let file = args.word().ok_or("which file?")?;
    args.end()?;
    work(Path::new(&file), jobs, latency_ms).map_err(|error| error.to_string())
}

fn job(n: u64) -> Job {
    // A kill of this program does not mean that the job is poison.
    Job::new(format!("job number {n}")).key(format!("job-{n}")).max_deliveries(u32::MAX)
}

fn work(file: &Path, jobs: u64, latency_ms: u64) -> Result<(), Box<dyn std::error::Error>> {
    let most = jobs.max(1_000);
    let limits = Limits::new().max_jobs(most).max_results(most).result_ttl(KEPT);
    let queue = JobQueue::open_with(file, limits)?;
    let before = queue.stats()?;
    if before.pushed > 0 {
        say(&format!(
            "survived: {} jobs waiting, {} with an outcome, {} dead",
            before.waiting, before.results, before.dead
        ));
    }
    // Known keys are known jobs: a push that a kill cut short goes on where it was.
    for first in (1..=jobs).step_by(STEP as usize) {
        let step = first..=jobs.min(first + STEP - 1);
        queue.push_all(step.map(job))?;
    }

    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::local().name("resume").custom_param("latency_ms", latency_ms);
    let helper = manager.spawn_helper(config)?;
    Worker::new(&queue, &manager)
        .helper(helper)
        .until_empty()
        .on_outcome(|outcome| {
            say(&format!("finished {}", outcome.key.as_deref().unwrap_or("without a key")));
        })
        .run(&Stop::new())?;

    let after = queue.stats()?;
    if after.dead > 0 {
        return Err(format!("{} jobs are on the dead list", after.dead).into());
    }
    say(&format!("all {jobs} jobs finished"));
    Ok(())
}
