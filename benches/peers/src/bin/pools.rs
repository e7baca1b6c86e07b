//! Times no-op tasks in other pools, as benches/programs does for ours and one by hand:
//! a prompt goes in, a reply comes out by way of a map.

#[path = "../../../programs/src/clock.rs"]
mod clock;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

const PROMPT: &str = "a prompt of ordinary length, such as people type";
const REPLY: &str = "ok";
// The same as there.
const ROUND_TRIPS: usize = 20_000;
const PIPELINED: usize = 128_000;
const WINDOW: usize = 32;
const ROUNDS: usize = 9;

type Results = Arc<(Mutex<HashMap<u64, String>>, Condvar)>;
type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    spawn: Box<dyn Fn(Job) + Send + Sync>,
    results: Results,
    next: AtomicU64,
}

impl Pool {
    fn new(spawn: impl Fn(Job) + Send + Sync + 'static) -> Self {
        Self { spawn: Box::new(spawn), results: Results::default(), next: AtomicU64::new(0) }
    }

    fn submit(&self) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (prompt, results) = (PROMPT.to_owned(), Arc::clone(&self.results));
        (self.spawn)(Box::new(move || {
            drop(prompt);
            results.0.lock().unwrap().insert(id, REPLY.to_owned());
            results.1.notify_all();
        }));
        id
    }

    fn wait(&self, id: u64) {
        let mut results = self.results.0.lock().unwrap();
        while results.remove(&id).is_none() {
            results = self.results.1.wait(results).unwrap();
        }
    }
}

fn main() {
    for _ in 0..ROUNDS {
        contend("rayon", |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            Pool::new(move |job| pool.spawn(job))
        });
        contend("threadpool", |threads| {
            let pool = Mutex::new(threadpool::ThreadPool::new(threads));
            Pool::new(move |job| pool.lock().unwrap().execute(job))
        });
        contend("tokio spawn_blocking", |threads| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .max_blocking_threads(threads)
                .build()
                .unwrap();
            Pool::new(move |job| drop(runtime.spawn_blocking(job)))
        });
    }
}

fn contend(name: &str, make: impl Fn(usize) -> Pool) {
    for (submitters, threads) in [(1, 1), (4, 3)] {
        clock::on_one_processor(threads == 1);
        let pool = make(threads);
        for (shape, tasks, window) in
            [("round-trip", ROUND_TRIPS, 1), ("pipelined", PIPELINED, WINDOW)]
        {
            let share = tasks / submitters / window * window;
            let (wall, cpu) = clock::time(|| {
                std::thread::scope(|scope| {
                    for _ in 0..submitters {
                        scope.spawn(|| run(&pool, share, window));
                    }
                });
            });
            let per_task = |nanos: u128| nanos / (share * submitters) as u128;
            let name = name.replace(' ', "_");
            println!("{name} {shape}-{submitters}x{threads} {} {}", per_task(wall), per_task(cpu));
        }
    }
}

fn run(pool: &Pool, tasks: usize, window: usize) {
    let mut ids = Vec::with_capacity(window);
    for _ in 0..tasks / window {
        ids.extend((0..window).map(|_| pool.submit()));
        ids.drain(..).for_each(|id| pool.wait(id));
    }
}
