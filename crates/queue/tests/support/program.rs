//! Examples as children: their lines as they come, and signals to them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::example;

/// A running example.
pub(crate) struct Program {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

#[allow(dead_code)]
impl Program {
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        let mut child = Command::new(example(name))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| own.lock().unwrap().push(line));
        });
        Self { child, lines, reader: Some(reader) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `STOP`, `CONT` or `KILL`, by its process id.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), id.as_str()]).status().unwrap();
        assert!(sent.success());
    }

    /// Kills it; gives its lines.
    pub(crate) fn kill(mut self) -> Vec<String> {
        let _ = self.child.kill();
        self.end().0
    }

    /// Waits for its end; gives its lines, and whether it succeeded.
    pub(crate) fn end(&mut self) -> (Vec<String>, bool) {
        let success = self.child.wait().unwrap().success();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (self.lines(), success)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often each key stands in `WORD KEY` lines.
pub(crate) fn tally(lines: &[String], word: &str) -> HashMap<String, usize> {
    let mut keys = HashMap::new();
    for key in lines.iter().filter_map(|line| line.strip_prefix(word)) {
        *keys.entry(key.trim().to_owned()).or_insert(0) += 1;
    }
    keys
}
