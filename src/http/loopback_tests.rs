//! Listeners on loopback, for the tests within the crate and those over its public face. Without
//! loopback (`ip link set lo up` is missing in a bare network namespace) a connection waits for
//! minutes: the first test that needs it ends the whole run.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

/// Loopback connects in microseconds; a busy machine may take a while to get there.
const LIMIT: Duration = Duration::from_secs(5);

#[cfg(feature = "http")]
/// Listens on a free port of 127.0.0.1, after [`require`].
pub(crate) fn listen() -> TcpListener {
    require();
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Ends the process with a message if nothing can be reached on 127.0.0.1.
pub(crate) fn require() {
    static REACHED: OnceLock<()> = OnceLock::new();
    REACHED.get_or_init(|| {
        let reached = TcpListener::bind("127.0.0.1:0").and_then(|listener| {
            TcpStream::connect_timeout(&listener.local_addr()?, LIMIT).map(drop)
        });
        if let Err(error) = reached {
            // Past the harness, which would keep a test's output until all tests have ended.
            let _ = writeln!(
                std::io::stderr(),
                "\nthe tests need the loopback interface, and 127.0.0.1 cannot be reached: {error}"
            );
            std::process::exit(1);
        }
    });
}
