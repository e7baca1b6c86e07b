//! Three threads and std's own channel.
use std::sync::mpsc::channel;

fn main() {
    let (sender, receiver) = channel();
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
