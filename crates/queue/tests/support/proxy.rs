//! A proxy on the loopback that cuts the connections through it on demand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Hands bytes between its clients and a server, until it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    ended: AtomicBool,
    /// Takes answers and passes none on.
    swallow: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

#[allow(dead_code)]
impl Proxy {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            ended: AtomicBool::new(false),
            swallow: AtomicBool::new(false),
            open: Mutex::new(Vec::new()),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                // A server that is away: the client's connection ends.
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let mut open = own.open.lock().unwrap();
                open.retain(|stream| stream.peer_addr().is_ok());
                open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                drop(open);
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (there, here) = (Arc::clone(&own), Arc::clone(&own));
                std::thread::spawn(move || pass(client, server, &there, false));
                std::thread::spawn(move || pass(back.0, back.1, &here, true));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Cuts all connections.
    pub(crate) fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether answers are lost: requests still reach the server.
    pub(crate) fn swallow(&self, on: bool) {
        self.shared.swallow.store(on, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, shared: &Shared, answers: bool) {
    let mut bytes = [0; 16_384];
    loop {
        let len = match from.read(&mut bytes) {
            Ok(len) if len > 0 => len,
            _ => break,
        };
        if answers && shared.swallow.load(Ordering::SeqCst) {
            break;
        }
        if to.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}
