//! Bare ureq in threads, no TLS linked: the floor in flight.
#[path = "../bare.rs"]
mod bare;

fn main() {
    bare::run();
}
