//! Times audit lines: `lines FOLDER`. One line a figure: `NAME WALL_NS CPU_NS BYTES` per line.

#[path = "../clock.rs"]
mod clock;
#[path = "../write.rs"]
mod write;

use std::path::PathBuf;

const LINES: usize = 100_000;
const ROUNDS: usize = 5;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_default());
    for _ in 0..ROUNDS {
        let path = folder.join("us.jsonl");
        let _ = std::fs::remove_file(&path);
        write::within_event(&path, |line| tell("us", || (0..LINES).for_each(|_| line())));
        let written = std::fs::read(&path).unwrap();
        let first = written.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        let _ = std::fs::remove_file(&path);
        let path = folder.join("bare.jsonl");
        let mut file = write::open(&path);
        tell("bare", || write::bare(&mut file, &written[..first], LINES));
        let _ = std::fs::remove_file(&path);
        println!("bytes {first} 0");
    }
}

fn tell(name: &str, work: impl FnOnce()) {
    let (wall, cpu) = clock::time(work);
    println!("{name} {} {}", wall / LINES as u128, cpu / LINES as u128);
}
