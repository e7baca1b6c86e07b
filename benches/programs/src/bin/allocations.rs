//! Counts allocations: `allocations FOLDER`. One line a figure: `NAME ALLOCATIONS` per unit.

#[path = "../pool.rs"]
mod pool;
#[path = "../write.rs"]
mod write;

use std::alloc::System;
use std::path::PathBuf;

use pool::{ByHand, Library, Pool};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TASKS: usize = 31_000;
const WINDOW: usize = 32;
/// Tables and lists have grown to their size by then.
const WARM_UP: usize = 3_100;
const LINES: usize = 10_000;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_default());
    tasks("by-hand", &ByHand::new(1));
    tasks("us", &Library::new(1));
    let path = folder.join("allocations.jsonl");
    let _ = std::fs::remove_file(&path);
    write::within_event(&path, |line| {
        line();
        // Twice: the thread that waits for the task parks meanwhile, which allocates once.
        let made = [(); 2].map(|()| count(|| (0..LINES).for_each(|_| line())));
        let made = made[0].min(made[1]);
        println!("line {:.4}", made as f64 / LINES as f64);
    });
    let _ = std::fs::remove_file(&path);
}

fn tasks<P: Pool>(name: &str, pool: &P) {
    pool::round_trips(pool, WARM_UP);
    let made = count(|| pool::round_trips(pool, TASKS));
    // To hundredths: a list that is made when a wait sleeps first is no cost of a task.
    println!("{name}-round-trip {:.2}", made as f64 / TASKS as f64);
    pool::pipelined(pool, WARM_UP, WINDOW);
    let made = count(|| pool::pipelined(pool, TASKS, WINDOW));
    println!("{name}-pipelined {:.2}", made as f64 / (TASKS / WINDOW * WINDOW) as f64);
}

fn count(work: impl FnOnce()) -> usize {
    let region = Region::new(GLOBAL);
    work();
    let change = region.change();
    change.allocations + change.reallocations
}
