//! Pushes jobs for a fleet of workers; see `fleet_worker`.
//!
//! ```sh
//! cargo run --release --features redis --example fleet_push -- \
//!     --redis redis://127.0.0.1:6379 --stream demo --jobs 100
//! ```
//!
//! Prints `pushed KEY` for each job once the server has it. Run again, it pushes what is not
//! there yet; a line that a kill may have swallowed is printed again.

mod common;

use automation_assistant_queue::{Job, JobQueue};
use common::{Args, exit, fleet, say};

const USAGE: &str = "usage: fleet_push --redis URL --stream NAME --jobs N";
/// Jobs pushed in one step.
const STEP: u64 = 200;
/// The bookmark of the last line that was printed.
const PRINTED: &str = "fleet_push";

fn main() {
    exit(run(), USAGE)
}

fn run() -> Result<(), String> {
    let mut args = Args::new();
    let jobs: u64 = args.value("--jobs")?.ok_or("how many jobs?")?;
    let queue = fleet(&mut args)?;
    args.end()?;
    push(&queue, jobs).map_err(|error| error.to_string())
}

fn push(queue: &JobQueue, jobs: u64) -> Result<(), automation_assistant_queue::Error> {
    let printed = queue.bookmark(PRINTED)?;
    for first in (1..=jobs).step_by(STEP as usize) {
        let last = jobs.min(first + STEP - 1);
        let pushed = queue.push_all((first..=last).map(job))?;
        for (n, job) in (first..).zip(&pushed) {
            // A known job beyond the bookmark: pushed by a run that was killed then.
            if job.is_new || n > printed {
                say(&format!("pushed {}", key(n)));
            }
        }
        if last > printed {
            queue.set_bookmark(PRINTED, last)?;
        }
    }
    Ok(())
}

fn job(n: u64) -> Job {
    // A worker that is killed for a demonstration does not make the job poison.
    Job::new(format!("job number {n}")).key(key(n)).max_deliveries(u32::MAX)
}

fn key(n: u64) -> String {
    format!("job-{n}")
}
