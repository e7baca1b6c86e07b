//! Debian's `redis-server`, started by the test on a free port of the loopback, with a folder
//! of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const START_MAX: Duration = Duration::from_secs(60);

/// A server that ends with the test.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    options: Vec<String>,
    child: Option<Child>,
}

#[allow(dead_code)]
impl RedisServer {
    /// A server with an append-only file; `None`, and a word about it, where there is no
    /// `redis-server` on this machine.
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if found.is_err() {
            assert!(std::env::var_os("CI").is_none(), "there is no redis-server");
            #[allow(clippy::print_stderr)]
            {
                eprintln!("left out: there is no redis-server on this machine");
            }
            return None;
        }
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("aaq-redis-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for _ in 0..5 {
            // Free now; should another take it meanwhile, the server ends at once.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let options = options.iter().map(|option| (*option).to_owned()).collect();
            let mut server = Self { port, folder: folder.clone(), options, child: None };
            if server.launch() {
                return Some(server);
            }
        }
        panic!("redis-server does not start: see {}", folder.join("log").display());
    }

    /// Starts it (again); whether it answers.
    pub(crate) fn launch(&mut self) -> bool {
        let log = std::fs::File::create(self.folder.join("log")).unwrap();
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(&self.folder)
            .args(["--appendonly", "yes", "--daemonize", "no"])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            let answer = self.say("PING").unwrap_or_default();
            if answer.starts_with('+') || answer.starts_with("-NOAUTH") {
                return true;
            }
            if self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Sends a command in words, and gives the answer's first bytes.
    pub(crate) fn say(&self, command: &str) -> std::io::Result<String> {
        self.say_words(&command.split(' ').collect::<Vec<_>>())
    }

    /// The same, of words that may hold spaces.
    pub(crate) fn say_words(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let words: Vec<String> = words.collect();
        stream.write_all(format!("*{}\r\n{}", words.len(), words.concat()).as_bytes())?;
        let mut bytes = vec![0; 65_536];
        let len = stream.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }

    /// Without credentials.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Bytes of memory it uses, by its own word.
    pub(crate) fn memory(&self) -> u64 {
        let answer = self.say("INFO memory").unwrap();
        let line = answer.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().trim().parse().unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
