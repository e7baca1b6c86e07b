//! Times lines of JSON in other writers: `writers FOLDER`. `NAME WALL_NS CPU_NS` per line.

#[path = "../../../programs/src/clock.rs"]
mod clock;

use std::fs::{File, OpenOptions};
use std::path::Path;

use slog::Drain;

const LINES: usize = 100_000;
const ROUNDS: usize = 5;

fn open(folder: &Path, name: &str) -> File {
    let path = folder.join(name);
    let _ = std::fs::remove_file(&path);
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

fn main() {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_default());
    for _ in 0..ROUNDS {
        let file = open(&folder, "tracing.jsonl");
        measure("tracing_JSON,_one_write_a_line", || traced(std::sync::Mutex::new(file)));
        // Lossless, so that it does the same work; dropping the guard waits for its thread.
        let (writer, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default()
            .lossy(false)
            .finish(open(&folder, "appender.jsonl"));
        measure("tracing-appender_(own_thread,_lossless)", || {
            traced(writer);
            drop(guard);
        });
        let file = open(&folder, "slog.jsonl");
        measure("slog-async_(own_thread,_lossless)", || {
            let json = slog_json::Json::default(std::io::LineWriter::new(file)).fuse();
            let (drain, guard) = slog_async::Async::new(json)
                .overflow_strategy(slog_async::OverflowStrategy::Block)
                .build_with_guard();
            let log = slog::Logger::root(drain.fuse(), slog::o!());
            for n in 0..LINES {
                slog::info!(log, "task_complete"; "run_id" => "20251122_164640",
                    "helper_id" => "1f2e3d4c", "backend" => "Local (local-mock)",
                    "latency_ms" => 0.412, "success" => true,
                    "task_id" => "1f2e3d4c-00000001", "queue_ms" => 0.031, "seq" => n);
            }
            drop((log, guard));
        });
    }
    for name in ["tracing.jsonl", "appender.jsonl", "slog.jsonl"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
}

fn traced<W>(writer: W)
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let subscriber = tracing_subscriber::fmt().json().with_writer(writer).finish();
    tracing::subscriber::with_default(subscriber, || {
        for n in 0..LINES {
            tracing::info!(
                run_id = "20251122_164640",
                helper_id = "1f2e3d4c",
                backend = "Local (local-mock)",
                latency_ms = 0.412,
                success = true,
                task_id = "1f2e3d4c-00000001",
                queue_ms = 0.031,
                seq = n,
                "task_complete"
            );
        }
    });
}

fn measure(name: &str, work: impl FnOnce()) {
    let (wall, cpu) = clock::time(work);
    println!("{name} {} {}", wall / LINES as u128, cpu / LINES as u128);
}
