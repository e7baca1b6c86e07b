//! The floor of every Rust program with the standard library.
fn main() {}
