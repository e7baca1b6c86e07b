//! Times audit lines: `lines FOLDER`. One line a figure: `NAME WALL_NS CPU_NS` per line.
//!
//! Both contenders write from the same thread of the same process with a second thread in it,
//! as any program with a helper has: alone in its process, a thread's write(2) is some 70 ns
//! quicker, for the kernel then needs no lock on the file's descriptor.

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
        let (path, bare) = (folder.join("us.jsonl"), folder.join("bare.jsonl"));
        let _ = std::fs::remove_file(&path);
        let ours = path.clone();
        write::within_event(&path, move |line| {
            tell("us", || (0..LINES).for_each(|_| line()));
            let written = std::fs::read(&ours).unwrap();
            let first = written.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            println!("bytes {first} 0");
            let _ = std::fs::remove_file(&bare);
            let mut file = write::open(&bare);
            tell("bare", || write::bare(&mut file, &written[..first], LINES));
            let _ = std::fs::remove_file(&bare);
        });
        let _ = std::fs::remove_file(&path);
    }
}

fn tell(name: &str, work: impl FnOnce()) {
    let (wall, cpu) = clock::time(work);
    println!("{name} {} {}", wall / LINES as u128, cpu / LINES as u128);
}
