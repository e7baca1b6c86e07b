//! Times no-op tasks: `dispatch`. One line a figure: `NAME SHAPE WALL_NS CPU_NS` per task.

#[path = "../clock.rs"]
mod clock;
#[path = "../pool.rs"]
mod pool;

use pool::{ByHand, Library, Pool, pipelined, round_trips};

const ROUND_TRIPS: usize = 20_000;
const PIPELINED: usize = 128_000;
/// Tasks in flight per submitter: half of the library's default queue, also for four.
const WINDOW: usize = 32;
/// Each contender runs so often, taking turns; the best round counts.
const ROUNDS: usize = 5;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    for _ in 0..rounds {
        contend("by-hand", ByHand::new);
        contend("us", Library::new);
    }
}

fn contend<P: Pool>(name: &str, make: impl Fn(usize) -> P) {
    for (submitters, threads) in [(1, 1), (4, 3)] {
        let pool = make(threads);
        for (shape, tasks) in [("round-trip", ROUND_TRIPS), ("pipelined", PIPELINED)] {
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
            let shape = format!("{shape}-{submitters}x{threads}");
            println!("{name} {shape} {} {}", per_task(wall), per_task(cpu));
        }
    }
}
