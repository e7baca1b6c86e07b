//! What every engine must do, and what only the one over Redis can suffer.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::conformance::{Make, conformance};
use crate::limits::Limits;
use crate::redis::RedisConfig;

#[path = "../../tests/support/server.rs"]
mod server;

use server::RedisServer;

/// Runs a test over queues of one server, each of a name of its own.
fn with_server(test: fn(Make<'_>)) {
    let Some(server) = RedisServer::start(&["--appendfsync", "no"]) else { return };
    let count = AtomicU32::new(0);
    test(&|limits: Limits| {
        let name = format!("queue-{}", count.fetch_add(1, Ordering::Relaxed));
        RedisConfig::new(server.url(), name).limits(limits).connect().unwrap()
    });
}

conformance!(with_server);
