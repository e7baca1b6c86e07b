//! A fleet as it works: the queue's depth, its workers, its rates.
//!
//! ```sh
//! cargo run --release --features redis --example fleet_top -- \
//!     --redis redis://127.0.0.1:6379 --stream demo
//! ```
//!
//! On a terminal one screen, refreshed each second until Ctrl-C; elsewhere one line a second.
//! With `--once` one plain table.

mod common;

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use automation_assistant_queue::{Error, JobQueue, QueueStats};
use common::{Args, exit, fleet, say};

const USAGE: &str = "usage: fleet_top --redis URL --stream NAME [--once]";
const EVERY: Duration = Duration::from_secs(1);
/// Time between the two looks that a rate needs, with `--once`.
const GLANCE: Duration = Duration::from_millis(500);
/// Workers shown; a screen has no more lines.
const WORKERS_MAX: usize = 15;

fn main() {
    exit(run(), USAGE)
}

fn run() -> Result<(), String> {
    let mut args = Args::new();
    let once = args.flag("--once");
    let queue = fleet(&mut args)?;
    args.end()?;
    watch(&queue, once).map_err(|error| error.to_string())
}

fn watch(queue: &JobQueue, once: bool) -> Result<(), Error> {
    let on_screen = std::io::stdout().is_terminal() && !once;
    let mut before = Look::take(queue)?;
    loop {
        std::thread::sleep(if once { GLANCE } else { EVERY });
        let look = match Look::take(queue) {
            Ok(look) => look,
            Err(error) if error.is_passing() && !once => {
                say(&error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        let rates = look.rates(&before);
        if once {
            say(table(&look.stats, rates).trim_end());
            return Ok(());
        }
        if on_screen {
            // Home, and clear to the end: no flicker.
            say(&format!("\x1b[H\x1b[J{}", table(&look.stats, rates)));
        } else {
            say(&line(&look.stats, rates));
        }
        before = look;
    }
}

/// The queue at one moment.
struct Look {
    at: Instant,
    stats: QueueStats,
}

/// Jobs a second: pushed, finished, redelivered.
type Rates = [f64; 3];

impl Look {
    fn take(queue: &JobQueue) -> Result<Self, Error> {
        Ok(Self { at: Instant::now(), stats: queue.stats()? })
    }

    fn rates(&self, before: &Self) -> Rates {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let counters =
            |look: &Self| [look.stats.pushed, look.stats.finished, look.stats.redelivered];
        let (now, then) = (counters(self), counters(before));
        [0, 1, 2].map(|which| now[which].saturating_sub(then[which]) as f64 / seconds)
    }
}

fn table(stats: &QueueStats, [pushed, finished, redelivered]: Rates) -> String {
    let mut out = String::new();
    let mut row = |name: &str, count: u64, rate: Option<f64>| {
        let rate = rate.map(|rate| format!("{rate:>10.1}/s")).unwrap_or_default();
        let _ = writeln!(out, "{name:<16}{count:>12}{rate}");
    };
    row("waiting", stats.waiting, None);
    row("leased", stats.leased, None);
    row("dead", stats.dead, None);
    row("results kept", stats.results, None);
    row("bytes", stats.bytes, None);
    row("pushed", stats.pushed, Some(pushed));
    row("finished", stats.finished, Some(finished));
    row("redelivered", stats.redelivered, Some(redelivered));
    row("fenced", stats.fenced, None);
    row("workers", stats.workers.len() as u64, None);
    for worker in stats.workers.iter().take(WORKERS_MAX) {
        let alive = match worker.alive_for.as_millis() {
            0 => "silent for longer than its lease".to_owned(),
            ms => format!("alive for {ms} ms yet"),
        };
        let _ = writeln!(out, "  {:<26}{:>4} leased  {alive}", worker.name, worker.leased);
    }
    if stats.workers.len() > WORKERS_MAX {
        let _ = writeln!(out, "  and {} more", stats.workers.len() - WORKERS_MAX);
    }
    out
}

fn line(stats: &QueueStats, [pushed, finished, redelivered]: Rates) -> String {
    format!(
        "waiting {} leased {} dead {} workers {} pushed {pushed:.1}/s finished {finished:.1}/s \
         redelivered {redelivered:.1}/s",
        stats.waiting,
        stats.leased,
        stats.dead,
        stats.workers.len()
    )
}
