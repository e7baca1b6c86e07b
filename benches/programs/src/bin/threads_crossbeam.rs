//! Three threads and crossbeam's channel: the floor of a pool.
use crossbeam_channel::unbounded;

fn main() {
    let (sender, receiver) = unbounded();
    let threads: Vec<_> = (0..3_u32)
        .map(|n| {
            let sender = sender.clone();
            std::thread::spawn(move || sender.send(n).is_ok())
        })
        .collect();
    drop(sender);
    println!("{}", receiver.iter().sum::<u32>());
    for thread in threads {
        let _ = thread.join();
    }
}
