//! The floor of a pool, and JSON read and written as `serde_json::Value`.
use crossbeam_channel::unbounded;

fn main() {
    let (sender, receiver) = unbounded();
    let text = std::env::args().nth(1).unwrap_or_else(|| r#"{"prompt":"hello"}"#.to_owned());
    let thread = std::thread::spawn(move || {
        let value: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        sender.send(value["prompt"].to_string()).is_ok()
    });
    println!("{}", receiver.iter().next().unwrap_or_default());
    let _ = thread.join();
}
