//! Times no-op tasks: `dispatch [CONTENDER [SHAPE]]`. One line a figure:
//! `NAME SHAPE WALL_NS CPU_NS` per task.
//!
//! One submitter and one thread share one processor: otherwise it is the waking of a sleeping
//! processor that is measured, which takes ten times as long and differs from run to run.

#[path = "../clock.rs"]
mod clock;
#[path = "../pool.rs"]
mod pool;

use pool::{ByHand, Library, Pool, pipelined, round_trips};

const ROUND_TRIPS: usize = 20_000;
const PIPELINED: usize = 128_000;
/// Tasks in flight per submitter: half of the library's default queue, also for four.
const WINDOW: usize = 32;
/// Each contender runs so often, taking turns; the middle round counts.
const ROUNDS: usize = 9;

fn main() {
    for _ in 0..ROUNDS {
        contend("by-hand", ByHand::new);
        contend("us", Library::new);
    }
}

/// Whether the arguments leave this one in.
fn chosen(at: usize, name: &str) -> bool {
    std::env::args().nth(at).is_none_or(|only| only == name)
}

fn contend<P: Pool>(name: &str, make: impl Fn(usize) -> P) {
    if !chosen(1, name) {
        return;
    }
    for (submitters, threads) in [(1, 1), (4, 3)] {
        clock::on_one_processor(threads == 1);
        let pool = make(threads);
        for (shape, tasks) in [("round-trip", ROUND_TRIPS), ("pipelined", PIPELINED)] {
            let tag = format!("{shape}-{submitters}x{threads}");
            if !chosen(2, &tag) {
                continue;
            }
            let share = tasks / submitters;
            let (wall, cpu) = clock::time(|| {
                std::thread::scope(|scope| {
                    for _ in 0..submitters {
                        scope.spawn(|| match shape {
                            "round-trip" => round_trips(&pool, share),
                            _ => pipelined(&pool, share, WINDOW),
                        });
                    }
                });
            });
            let per_task = |nanos: u128| nanos / (share * submitters) as u128;
            println!("{name} {tag} {} {}", per_task(wall), per_task(cpu));
        }
    }
}
