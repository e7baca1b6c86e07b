//! Shared by the examples: their command lines, and lines that a kill cannot swallow unseen.

use std::io::Write;

/// The words of a command line: `--name value`, `--name`, and what stands alone.
pub(crate) struct Args(Vec<String>);

#[allow(dead_code)]
impl Args {
    /// Those of this program.
    pub(crate) fn new() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether the flag is there; it is taken.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let found = self.0.iter().position(|word| word == name);
        found.map(|at| self.0.remove(at)).is_some()
    }

    /// The value after this name; both are taken.
    pub(crate) fn value<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        let Some(at) = self.0.iter().position(|word| word == name) else { return Ok(None) };
        self.0.remove(at);
        if at >= self.0.len() {
            return Err(format!("{name} wants a value"));
        }
        let word = self.0.remove(at);
        word.parse().map(Some).map_err(|_| format!("{name} does not take {word}"))
    }

    /// The first word that stands alone; it is taken.
    pub(crate) fn word(&mut self) -> Option<String> {
        let found = self.0.iter().position(|word| !word.starts_with("--"));
        found.map(|at| self.0.remove(at))
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => Err(format!("what is {word}?")),
        }
    }
}

/// Prints a line in one write, at once: what comes after it in the program comes after it.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away is no reason to stop working.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// Ends the program by what it came to.
pub(crate) fn exit(result: Result<(), String>, usage: &str) -> ! {
    std::process::exit(match result {
        Ok(()) => 0,
        Err(why) => {
            let mut err = std::io::stderr().lock();
            let _ = err.write_all(format!("{why}\n{usage}\n").as_bytes());
            2
        }
    })
}

/// The queue that `--redis URL --stream NAME` name. Later calls wait half a minute for a server
/// that is away.
#[cfg(feature = "redis")]
#[allow(dead_code)]
pub(crate) fn fleet(args: &mut Args) -> Result<automation_assistant_queue::JobQueue, String> {
    use automation_assistant_queue::{Limits, RedisConfig};
    // Keys are known for as long as outcomes are kept: enough for a long demonstration.
    let limits = Limits::new().max_jobs(1_000_000).max_results(1_000_000).max_bytes(1 << 30);
    let url: String = args.value("--redis")?.ok_or("which server?")?;
    let stream: String = args.value("--stream")?.ok_or("which stream?")?;
    let config = RedisConfig::new(url, stream).limits(limits);
    let config = config.retry_for(std::time::Duration::from_secs(30));
    config.connect().map_err(|error| error.to_string())
}
