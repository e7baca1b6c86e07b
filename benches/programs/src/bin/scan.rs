//! Reads an audit file: `scan read|memchr|value|us FILE`. Prints `CPU_NS WALL_NS RESULT`.

#[path = "../clock.rs"]
mod clock;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::time::Instant;

/// As large as the pipe-friendly reads of common tools.
const BLOCK_BYTES: usize = 64 << 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [how, path] = arguments.as_slice() else { return };
    let began = Instant::now();
    let result = match how.as_str() {
        "read" => blocks(path, |_| 0),
        "memchr" => blocks(path, |block| memchr::memchr_iter(b'\n', block).count()),
        "value" => values(path),
        _ => automation_assistant::Debrief::from_path(path).unwrap().total_events() as usize,
    };
    println!("{} {} {result}", clock::cpu(), began.elapsed().as_nanos());
    if std::env::var_os("WAIT").is_some() {
        let _ = std::io::stdin().read(&mut [0]);
    }
}

fn blocks(path: &str, count: impl Fn(&[u8]) -> usize) -> usize {
    let mut file = File::open(path).unwrap();
    let mut block = vec![0; BLOCK_BYTES];
    let mut total = 0;
    loop {
        match file.read(&mut block).unwrap() {
            0 => return total,
            filled => total += count(&block[..filled]),
        }
    }
}

/// The simplest reader: every line as a `Value`.
fn values(path: &str) -> usize {
    let mut reader = BufReader::with_capacity(BLOCK_BYTES, File::open(path).unwrap());
    let (mut line, mut failed, mut latencies) = (String::new(), 0, Vec::new());
    while reader.read_line(&mut line).unwrap() > 0 {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        failed += usize::from(value["success"] == false);
        latencies.push(value["latency_ms"].as_f64().unwrap_or_default());
        line.clear();
    }
    latencies.sort_unstable_by(f64::total_cmp);
    failed + latencies.len()
}
