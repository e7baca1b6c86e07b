//! One worker of a fleet; start as many as you like, on as many devices.
//!
//! ```sh
//! cargo run --release --features redis --example fleet_worker -- \
//!     --redis redis://127.0.0.1:6379 --stream demo
//! ```
//!
//! Prints `finished KEY` for each outcome that the server has recorded. With `--until-empty` it
//! ends once no job waits or is leased to anyone.

mod common;

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, HelperConfig};
use automation_assistant_queue::{DEFAULT_LEASE, JobQueue, Stop, Worker};
use common::{Args, exit, fleet, say};

const USAGE: &str =
    "usage: fleet_worker --redis URL --stream NAME [--lease-ms L] [--latency-ms M] [--until-empty]";

fn main() {
    exit(run(), USAGE)
}

fn run() -> Result<(), String> {
    let mut args = Args::new();
    let lease = args.value("--lease-ms")?.map_or(DEFAULT_LEASE, Duration::from_millis);
    let latency_ms: u64 = args.value("--latency-ms")?.unwrap_or(20);
    let until_empty = args.flag("--until-empty");
    let queue = fleet(&mut args)?;
    args.end()?;
    work(&queue, lease, latency_ms, until_empty).map_err(|error| error.to_string())
}

fn work(
    queue: &JobQueue,
    lease: Duration,
    latency_ms: u64,
    until_empty: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::local().name("fleet").custom_param("latency_ms", latency_ms);
    let helper = manager.spawn_helper(config)?;
    let mut worker = Worker::new(queue, &manager).helper(helper).lease(lease);
    if until_empty {
        worker = worker.until_empty();
    }
    worker
        .on_outcome(|outcome| {
            say(&format!("finished {}", outcome.key.as_deref().unwrap_or("without a key")));
        })
        .run(&Stop::new())?;
    Ok(())
}
