//! Checks what AI helpers need on this machine. One line for each thing that may be wrong, and
//! what to do about it.
//!
//! ```text
//! cargo run --example doctor -- [--offline]
//!     --offline   contacts no other device: no name look-up, no connection
//! ```
//!
//! Sends no key and no prompt anywhere: a service is only connected to, and the model server of
//! `DEMO_LOCAL_ENDPOINT` asked for its models. A service that is not set up is a note, and nothing
//! wrong. Ends with code 1 if something is wrong.
#![allow(clippy::print_stderr, reason = "a program speaks to its user")]

#[path = "doctor/reach.rs"]
mod reach;
#[path = "common/say.rs"]
mod say;

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use automation_assistant::device::{ClockReading, DeviceSnapshot};
use automation_assistant::limits::DEFAULT_STACK_BYTES;
use automation_assistant::{AutomationAssistantManager, TaskRequest, create_local_helper};

/// Longest wait for the trial task.
const TASK_LIMIT: Duration = Duration::from_secs(10);
/// A wall clock before this moment (1 January 2026) is wrong: this file is younger.
const NOT_BEFORE_UNIX_SECONDS: u64 = 1_767_225_600;
/// A clock behind the program's own file by more than this is wrong.
const CLOCK_SLACK: Duration = Duration::from_secs(2 * 86_400);
/// Most bytes of a certificate file that are looked at; the usual bundle has 230 KB.
const MAX_PEM_BYTES: u64 = 4 << 20;
/// Most bytes of this process's memory map that are looked at.
const MAX_SMAPS_BYTES: u64 = 4 << 20;
/// Where the examples write telemetry.
const AUDIT_FOLDER: &str = "src/memory";

const USAGE: &str = "usage: doctor [--offline]\n  \
                     --offline   asks nobody outside this device\n";

#[derive(Clone, Copy, PartialEq)]
enum State {
    Fine,
    Note,
    Wrong,
}

/// One thing that was checked.
struct Finding {
    state: State,
    name: String,
    found: String,
    todo: String,
}

fn fine(name: &str, found: impl Into<String>) -> Finding {
    Finding { state: State::Fine, name: name.to_owned(), found: found.into(), todo: String::new() }
}

fn note(name: &str, found: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { state: State::Note, name: name.to_owned(), found: found.into(), todo: todo.into() }
}

fn wrong(name: &str, found: impl Into<String>, todo: impl Into<String>) -> Finding {
    Finding { state: State::Wrong, name: name.to_owned(), found: found.into(), todo: todo.into() }
}

fn main() -> ExitCode {
    let mut offline = false;
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--offline") => offline = true,
            Some("--help" | "-h") => {
                // A reader that closes the pipe is no failure; below neither.
                let _ = std::io::stdout().write_all(USAGE.as_bytes());
                return ExitCode::SUCCESS;
            }
            _ => {
                eprintln!("doctor: unknown argument {argument:?}\n{}", USAGE.trim_end());
                return ExitCode::from(2);
            }
        }
    }
    let mut findings = vec![build(), clock(), sleep(), writing(), roots(), proxy()];
    findings.extend(reach::findings(offline));
    findings.extend([memory(), stack()]);
    let mut text = String::new();
    for Finding { state, name, found, todo } in &findings {
        let mark = match state {
            State::Fine => "ok   ",
            State::Note => "note ",
            State::Wrong => "WRONG",
        };
        let todo = if todo.is_empty() { String::new() } else { format!(" -> {todo}") };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{mark} {name:<10} {found}{todo}");
    }
    let failures = findings.iter().filter(|finding| finding.state == State::Wrong).count();
    let _ = match failures {
        0 => writeln!(text, "Nothing is wrong."),
        1 => writeln!(text, "1 thing is wrong."),
        count => writeln!(text, "{count} things are wrong."),
    };
    let _ = std::io::stdout().write_all(say::harmless(&text).as_bytes());
    ExitCode::from(u8::from(failures > 0))
}

/// The cargo features of this program.
fn build() -> Finding {
    let feature = |on: bool, name: &'static str| on.then_some(name);
    let features = [
        feature(cfg!(feature = "http"), "http"),
        feature(cfg!(feature = "tls"), "tls"),
        feature(cfg!(feature = "rustix"), "rustix"),
    ];
    let features: Vec<_> = features.into_iter().flatten().collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let machine = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    if !cfg!(feature = "tls") {
        let todo = "for ChatGPT and Comet build with the cargo feature tls";
        return note("build", format!("{machine}, features: {features}"), todo);
    }
    fine("build", format!("{machine}, features: {features}"))
}

/// A wrong clock makes every certificate look expired or not yet valid.
fn clock() -> Finding {
    let now = SystemTime::now();
    let todo = "set the date and time; with a wrong clock every https call fails";
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if since.as_secs() < NOT_BEFORE_UNIX_SECONDS {
        return wrong("clock", format!("{} s after 1970 is long past", since.as_secs()), todo);
    }
    let built = std::env::current_exe().and_then(fs::metadata).and_then(|file| file.modified());
    let behind = built.ok().and_then(|built| built.duration_since(now).ok()).unwrap_or_default();
    if behind > CLOCK_SLACK {
        let hours = behind.as_secs() / 3600;
        return wrong("clock", format!("{hours} h before this program was built"), todo);
    }
    fine("clock", "plausible")
}

fn sleep() -> Finding {
    let source = ClockReading::now().source();
    if source.is_exact() {
        return fine("sleep", format!("suspended time is known exactly ({source})"));
    }
    let todo = "build with the cargo feature rustix to know it exactly";
    note("sleep", format!("suspended time is estimated ({source})"), todo)
}

/// Whether telemetry can be written, without making the folder.
fn writing() -> Finding {
    let existing = Path::new(AUDIT_FOLDER).ancestors().find(|folder| folder.exists());
    let folder = existing.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let found = format!("{} is a file, where a folder is needed", folder.display());
        return wrong("write", found, "rename it, or go to another folder");
    }
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    let written = made.and_then(|mut file| file.write_all(b"probe\n"));
    let removed = fs::remove_file(&probe);
    let shown = folder.display();
    match written.and(removed) {
        Ok(()) => fine("write", format!("{shown} can be written")),
        Err(error) => {
            let todo = "go to a folder of your own (cd ~), or free space";
            wrong("write", format!("{shown} cannot be written: {error}"), todo)
        }
    }
}

/// The certificates that https trusts.
fn roots() -> Finding {
    if !cfg!(feature = "tls") {
        return note("roots", "no https in this build", "");
    }
    let Some(file) = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from) else {
        return fine("roots", "the bundled Mozilla roots");
    };
    let mut text = Vec::new();
    let read = fs::metadata(&file).and_then(|meta| match meta.is_file() {
        true => fs::File::open(&file)?.take(MAX_PEM_BYTES).read_to_end(&mut text),
        false => Err(std::io::ErrorKind::InvalidInput.into()),
    });
    let shown = file.display();
    let todo = "correct SSL_CERT_FILE, or unset it to use the bundled roots";
    if let Err(error) = read {
        return wrong("roots", format!("SSL_CERT_FILE {shown} cannot be read: {error}"), todo);
    }
    let text = String::from_utf8_lossy(&text);
    match text.matches("-----BEGIN CERTIFICATE-----").count() {
        0 => wrong("roots", format!("SSL_CERT_FILE {shown} holds no certificate"), todo),
        count => fine("roots", format!("{count} of SSL_CERT_FILE, in place of the bundled ones")),
    }
}

fn proxy() -> Finding {
    let names =
        ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let set: Vec<_> = names.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    if set.is_empty() {
        return fine("proxy", "none");
    }
    // Not its value: it may hold a password.
    note("proxy", format!("{} set", set.join(", ")), "the direct checks below go around it")
}

fn memory() -> Finding {
    let device = DeviceSnapshot::read();
    let profile = automation_assistant::device::DeviceProfile::detect();
    let admission = profile.admission().decide(&device);
    match admission.pressure() {
        None => fine("device", format!("fit for work; profile {}", profile.name())),
        Some(why) => note("device", why.to_string(), "close other programs, or charge, or wait"),
    }
}

/// Runs a task and looks, on the helper's own thread, at how much of its stack was touched.
fn stack() -> Finding {
    let manager = AutomationAssistantManager::new(1);
    let (sender, receiver) = channel();
    let request = TaskRequest::new("doctor").on_done(move |task| {
        let _ = sender.send((task.result.is_some(), touched_stack()));
    });
    let submitted = create_local_helper(&manager, "doctor")
        .and_then(|helper| manager.submit_task(helper, request));
    if let Err(error) = submitted {
        return wrong("task", format!("a Local task could not be run: {error}"), "see above");
    }
    let reserved = DEFAULT_STACK_BYTES >> 10;
    match receiver.recv_timeout(TASK_LIMIT) {
        Ok((true, Some(touched))) => {
            let found = format!("a Local task ran; {} KiB of {reserved} touched", touched >> 10);
            if touched > DEFAULT_STACK_BYTES as u64 / 2 {
                return wrong("stack", found, "raise HelperConfig::stack_bytes");
            }
            fine("stack", found)
        }
        Ok((true, None)) => {
            fine("stack", format!("a Local task ran; {reserved} KiB reserved, use unknown"))
        }
        Ok((false, _)) => wrong("task", "a Local task failed", "report it, with this output"),
        Err(_) => wrong("task", format!("no result within {TASK_LIMIT:?}"), "report it"),
    }
}

/// Bytes of this thread's stack that hold memory, from the process's own map.
fn touched_stack() -> Option<u64> {
    let here = 0u8;
    let address = std::ptr::from_ref(&here).addr() as u64;
    let mut text = String::new();
    let map = fs::File::open("/proc/self/smaps").ok()?;
    map.take(MAX_SMAPS_BYTES).read_to_string(&mut text).ok()?;
    let mut within = false;
    for line in text.lines() {
        let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        let hex = |text| u64::from_str_radix(text, 16).ok();
        if let Some((from, to)) = range.and_then(|(from, to)| Some((hex(from)?, hex(to)?))) {
            within = (from..to).contains(&address);
        } else if let Some(size) = line.strip_prefix("Rss:").filter(|_| within) {
            let kilobytes: u64 = size.trim().trim_end_matches("kB").trim().parse().ok()?;
            return Some(kilobytes << 10);
        }
    }
    None
}
