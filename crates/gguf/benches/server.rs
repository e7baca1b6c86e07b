//! This crate beside llama.cpp's own server over loopback; see README, "Beside a server".
fn main() {}
