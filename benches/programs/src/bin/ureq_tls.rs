//! Bare ureq in threads, TLS and the bundled roots linked: the floor in flight.
#[path = "../bare.rs"]
mod bare;

fn main() {
    bare::run();
}
