//! The example programs, run as a user would: offline, in an empty folder, without a key.
//! Their output, their files, and their exit codes.
//!
//! `cargo test` builds them; with `--test it` alone, run `cargo build --examples` first.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::command;

mod api;
mod debrief;
mod device;
mod doctor;
mod foreign_text;
mod index;
mod look;
mod stories;

/// Each story takes seconds; under emulation ten times that, and on a CI machine one had printed
/// nothing after 90 s, for a reason that was not found. Then it is killed.
const LIMIT: Duration = Duration::from_secs(300);

/// Variables that would change what a program does, by how they begin.
const NOT_OURS: [&str; 6] = ["ANTHROPIC_", "OPENAI_", "OPIK_", "DEMO_", "SSL_CERT_", "TERMUX_"];

/// An empty folder of one test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (count, process) = (COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
        let path = std::env::temp_dir().join(format!("aa-example-{name}-{process}-{count}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The files in it, as paths from it.
    fn files(&self) -> BTreeSet<String> {
        fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(&self.0, &self.0, &mut found);
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a program ended.
struct Run {
    name: String,
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn ends_well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}: {}\n{}", self.name, self.err, self.out);
        self
    }

    #[track_caller]
    fn says(self, line: &str) -> Self {
        assert!(self.out.contains(line), "{} does not say {line:?}:\n{}", self.name, self.out);
        self
    }

    /// The same, however the words are spread over lines.
    #[track_caller]
    fn says_in_words(self, text: &str) -> Self {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = words(&self.out);
        assert!(said.contains(&words(text)), "{} does not say {text:?}:\n{}", self.name, self.out);
        self
    }

    #[track_caller]
    fn never_says(self, text: &str) -> Self {
        assert!(!self.out.contains(text), "{} says {text:?}:\n{}", self.name, self.out);
        self
    }
}

/// The built example; this test binary lies in `deps` beside `examples`.
fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let profile = here.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{name} is not built: run `cargo build --examples` first");
    path
}

/// Runs an example in this folder, for a bounded time.
fn run_in(folder: &Folder, name: &str, arguments: &[&str]) -> Run {
    run_with(folder, name, arguments, &[])
}

/// The same, with these variables in its environment.
fn run_with(folder: &Folder, name: &str, arguments: &[&str], set: &[(&str, &str)]) -> Run {
    watch(name, start(folder, name, arguments, set))
}

fn start(folder: &Folder, name: &str, arguments: &[&str], set: &[(&str, &str)]) -> Child {
    begin(folder, command(program(name)).args(arguments), set)
}

fn begin(folder: &Folder, command: &mut Command, set: &[(&str, &str)]) -> Child {
    crate::support::loopback::require();
    // Its own folder is its home too: nothing that the user has configured is read.
    command.current_dir(&folder.0).env("HOME", &folder.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy().into_owned();
        if NOT_OURS.iter().any(|start| text.starts_with(start)) {
            command.env_remove(variable);
        }
    }
    // Nothing may go through a proxy: all that is spoken to is on loopback.
    command.env("http_proxy", "http://127.0.0.1:9").env("HTTP_PROXY", "http://127.0.0.1:9");
    command.envs(set.iter().copied());
    command.spawn().unwrap()
}

/// Reads what a program says until it ends, or kills it when its time is up.
fn watch(name: &str, mut child: Child) -> Run {
    let (send, ended) = channel();
    let mut readers = Vec::new();
    let out = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let pipes = [out.unwrap_or(Box::new(io::empty())), Box::new(child.stderr.take().unwrap())];
    for mut pipe in pipes {
        let send = send.clone();
        readers.push(std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = pipe.read_to_end(&mut bytes);
            let _ = send.send(());
            read.unwrap();
            String::from_utf8(bytes).unwrap()
        }));
    }
    // Both pipes end with the program.
    let in_time = (0..2).all(|_| ended.recv_timeout(LIMIT).is_ok());
    let state = if in_time { String::new() } else { state_of(child.id()) };
    if !in_time {
        child.kill().unwrap();
    }
    let code = child.wait().unwrap().code();
    let texts: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let [out, err] = texts.try_into().unwrap();
    assert!(in_time, "{name} did not end within {LIMIT:?}: {state}; it said\n{out}\n{err}");
    Run { name: name.to_owned(), code, out, err }
}

/// Where the system says that a process waits, and whether it has run: it shows whether the
/// machine or the program stalls.
fn state_of(process: u32) -> String {
    let files = [format!("/proc/{process}/wchan"), format!("/proc/{process}/stat")];
    let texts = files.into_iter().chain(["/proc/loadavg".to_owned()]);
    texts.map(|file| fs::read_to_string(file).unwrap_or_default() + " ").collect()
}

/// Runs a program that leaves no file behind.
fn run(name: &str, arguments: &[&str]) -> Run {
    let folder = Folder::new(name);
    let run = run_in(&folder, name, arguments);
    assert_eq!(folder.files(), BTreeSet::new(), "{name} leaves files");
    run
}

/// A model server that gives one answer, whatever it is asked; then its port is closed.
#[cfg(feature = "http")]
fn one_answer(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    use std::io::Write;
    let listener = crate::support::loopback::listen();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            asked.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, thread)
}

#[test]
fn quick_start_answers() {
    run("quick_start", &[]).ends_well().says("Local Response: Echo of 'Hello from this device'");
}

/// `demo | head`: nobody reads on, and that is no failure.
#[test]
fn a_reader_that_goes_away_breaks_no_program() {
    for name in ["demo", "pipeline", "tools", "device_health"] {
        let folder = Folder::new(name);
        let mut child = start(&folder, name, &[], &[]);
        drop(child.stdout.take());
        let run = watch(name, child);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{name}");
    }
}
