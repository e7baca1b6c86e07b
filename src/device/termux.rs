//! Commands of Termux:API, the only child processes of this crate: some read the device, some act
//! on it.
//!
//! They hang for ever when their Android app is missing, inactive or without a permission, and so
//! each runs with a hard limit. The child writes into one end of a socket pair and this thread
//! reads the other with a time-out: no thread, no polling, and no wait for a grandchild that
//! still holds its end. At the limit the child is killed and reaped.
//!
//! If Termux has its client (`$PREFIX/libexec/termux-api`), the client is run directly: the
//! commands in `$PREFIX/bin` are shell scripts that start it, and killing the shell would leave
//! the client hanging. A script found elsewhere in `PATH` is run as it is; its child processes
//! are killed with it only with the cargo feature `rustix`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::reading::{NoReading, Probed};
use crate::text::clean;

/// Most bytes that a command may print; a normal answer has less than 1 KiB.
pub(crate) const MAX_PRINTED_BYTES: usize = 64 << 10;
/// The variables that a command of Termux needs; no other is passed on, since the environment may
/// hold API keys.
const HANDED_ON: [&str; 18] = [
    "PATH",
    "PREFIX",
    "HOME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    // Termux's own library, which lets scripts find their interpreter.
    "LD_PRELOAD",
    "TERMUX_VERSION",
    "TERMUX__PREFIX",
    "TERMUX__ROOTFS",
    "TERMUX_APP__PACKAGE_NAME",
    // Without these, Android's `am`, which wakes the app, does not start.
    "ANDROID_ROOT",
    "ANDROID_DATA",
    "ANDROID_ART_ROOT",
    "ANDROID_I18N_ROOT",
    "ANDROID_TZDATA_ROOT",
    "BOOTCLASSPATH",
    "DEX2OATBOOTCLASSPATH",
    "EXTERNAL_STORAGE",
];

/// Most bytes of a command's plain text that are quoted.
const QUOTED_BYTES_MAX: usize = 120;

/// A command of Termux:API.
pub(crate) struct TermuxCommand {
    /// Its name in `PATH`.
    pub(crate) script: &'static str,
    /// The client's method for it.
    pub(crate) method: &'static str,
}

pub(crate) const BATTERY: TermuxCommand =
    TermuxCommand { script: "termux-battery-status", method: "BatteryStatus" };
pub(crate) const WIFI: TermuxCommand =
    TermuxCommand { script: "termux-wifi-connectioninfo", method: "WifiConnectionInfo" };

/// A command and its arguments. They pass through no shell of this crate.
pub(crate) struct Order<'a> {
    pub(crate) command: TermuxCommand,
    /// The client's further arguments. The client passes them to Android as one line in which it
    /// escapes quotes but no backslash: they may only contain numbers and constants, never text
    /// of a model.
    pub(crate) for_client: &'a [&'a str],
    /// The same arguments as options of the script.
    pub(crate) for_script: &'a [&'a str],
    /// Its input; at most [`MAX_INPUT_BYTES`]. This text may have any content.
    pub(crate) input: &'a str,
}

/// Most bytes of a command's input: the smallest pipe holds them, so that writing them never
/// waits for the command.
pub(crate) const MAX_INPUT_BYTES: usize = 4096;

/// The folders in which commands are found, instead of the process's own environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Instead of `PATH`; `PREFIX` is then ignored.
    pub(crate) path: Option<PathBuf>,
    /// Instead of the variable `PREFIX`.
    prefix: Option<PathBuf>,
}

impl Places {
    /// The program to run, and its method argument.
    fn find(&self, command: &TermuxCommand) -> Probed<(PathBuf, Option<&'static str>)> {
        if self.path.is_none() {
            let prefix = self.prefix.clone();
            let prefix = prefix.or_else(|| std::env::var_os("PREFIX").map(PathBuf::from));
            let client = prefix.map(|prefix| prefix.join("libexec/termux-api"));
            if let Some(client) = client.filter(|client| client.is_file()) {
                return Ok((client, Some(command.method)));
            }
        }
        let path = self.path.clone().map(PathBuf::into_os_string);
        let path = path.or_else(|| std::env::var_os("PATH")).unwrap_or_default();
        // An empty part of PATH means the current folder, from which no command is run.
        let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
        let found = folders.map(|folder| folder.join(command.script)).find(|file| file.is_file());
        found.map(|file| (file, None)).ok_or_else(|| {
            NoReading::because(format!(
                "there is no {}: in Termux, run `pkg install termux-api` and install the \
                 Termux:API app",
                command.script
            ))
        })
    }
}

/// The output of a command, parsed as JSON.
pub(crate) fn ask(command: &TermuxCommand, places: &Places, limit: Duration) -> Probed<Value> {
    let (program, method) = places.find(command)?;
    let printed = unix::run(&program, method.as_slice(), "", command.script, limit)?;
    if printed.len() > MAX_PRINTED_BYTES {
        return Err(NoReading::because(format!(
            "{} printed more than {MAX_PRINTED_BYTES} bytes",
            command.script
        )));
    }
    if printed.trim_ascii().is_empty() {
        return Err(NoReading::because(format!(
            "{} printed nothing: open the Termux:API app once, and allow what it asks for",
            command.script
        )));
    }
    let value: Option<Value> = serde_json::from_slice(&printed).ok();
    match value {
        Some(value) if is_refusal(&value) => Err(refused(command)),
        Some(value @ Value::Object(_)) => Ok(value),
        _ => Err(NoReading::because(format!("{} printed no JSON object", command.script))),
    }
}

/// Runs a command that acts on the device. Such commands print nothing unless they fail.
pub(crate) fn act(order: &Order<'_>, places: &Places, limit: Duration) -> Probed<()> {
    let name = order.command.script;
    if order.input.len() > MAX_INPUT_BYTES {
        return Err(NoReading::because(format!("{name} reads {MAX_INPUT_BYTES} bytes at most")));
    }
    let (program, method) = places.find(&order.command)?;
    let words = match method {
        Some(method) => [&[method], order.for_client].concat(),
        None => order.for_script.to_vec(),
    };
    let printed = unix::run(&program, &words, order.input, name, limit)?;
    if serde_json::from_slice(&printed).is_ok_and(|value| is_refusal(&value)) {
        return Err(refused(&order.command));
    }
    let output = String::from_utf8_lossy(&printed);
    let output: Vec<&str> = output.split_whitespace().collect();
    if output.is_empty() {
        return Ok(());
    }
    let output = clean(&output.join(" "), QUOTED_BYTES_MAX);
    Err(NoReading::because(format!("{name} said: {output}")))
}

/// The app reports errors, such as a missing permission, in this field.
fn is_refusal(printed: &Value) -> bool {
    printed.get("API_ERROR").is_some()
}

fn refused(command: &TermuxCommand) -> NoReading {
    NoReading::because(format!(
        "{} was refused by Android: allow what the Termux:API app asks for",
        command.script
    ))
}

#[cfg(unix)]
mod unix {
    use std::io::{ErrorKind, Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::{HANDED_ON, MAX_PRINTED_BYTES};
    use crate::device::reading::{NoReading, Probed};

    /// The first pause between two looks at whether a command that has closed its output has exited;
    /// each further one is twice as long, up to the longest.
    const EXIT_PAUSE: Duration = Duration::from_millis(2);
    const EXIT_PAUSE_MAX: Duration = Duration::from_millis(100);

    /// How much is read at once.
    const CHUNK_BYTES: usize = 4 << 10;

    /// A child process that is killed and reaped on drop, unless it was reaped: its number may be
    /// another process's then.
    struct Reaped(Child, bool);

    impl Drop for Reaped {
        fn drop(&mut self) {
            if self.1 {
                return;
            }
            super::super::system::kill_group(self.0.id());
            // Both fail only if the child has ended and was reaped.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Runs a program until its output ends, exceeds its limit, or the time is over.
    pub(super) fn run(
        program: &Path,
        words: &[&str],
        input: &str,
        name: &str,
        limit: Duration,
    ) -> Probed<Vec<u8>> {
        let started = Instant::now();
        let failed = |error: std::io::Error| {
            NoReading::because(format!("{name} could not be run: {}", error.kind()))
        };
        let (mut ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(words).env_clear();
        command.envs(HANDED_ON.iter().filter_map(|&key| Some((key, std::env::var_os(key)?))));
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(OwnedFd::from(theirs)).stderr(Stdio::null());
        // A process group of its own: an interrupt at the terminal reaches the program, not the
        // child, and all processes that the child starts can be killed with it.
        command.process_group(0);
        let child = command.spawn().map_err(failed)?;
        // The command holds our copy of the child's end; while it is open, the output never ends.
        drop(command);
        let mut child = Reaped(child, false);
        if let Some(mut pipe) = child.0.stdin.take() {
            // The pipe holds all of it. A command that ends without reading reports an error, or
            // needs no input.
            let _ = pipe.write_all(input.as_bytes());
        }
        let mut printed = Vec::new();
        let mut chunk = [0; CHUNK_BYTES];
        while printed.len() <= MAX_PRINTED_BYTES {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(NoReading::TimedOut(limit));
            }
            ours.set_read_timeout(Some(left)).map_err(failed)?;
            match ours.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => printed.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) => match error.kind() {
                    // The time is checked above.
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    _ => return Err(failed(error)),
                },
            }
        }
        // Without a word, its exit code says that it failed, if it did.
        let mut pause = EXIT_PAUSE;
        while printed.is_empty() {
            let exit = child.0.try_wait().map_err(failed)?;
            child.1 = exit.is_some();
            match exit {
                Some(status) if status.success() => break,
                Some(status) => {
                    return Err(NoReading::because(format!(
                        "{name} failed ({status}) and printed nothing: open the Termux:API app \
                         once, and allow what it asks for"
                    )));
                }
                None if started.elapsed() >= limit => return Err(NoReading::TimedOut(limit)),
                None => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(EXIT_PAUSE_MAX);
                }
            }
        }
        Ok(printed)
    }
}

#[cfg(not(unix))]
mod unix {
    use std::path::Path;
    use std::time::Duration;

    use crate::device::reading::{NoReading, Probed};

    pub(super) fn run(
        _program: &Path,
        _words: &[&str],
        _input: &str,
        name: &str,
        _limit: Duration,
    ) -> Probed<Vec<u8>> {
        Err(NoReading::because(format!("{name} is a command of Android's Termux")))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    /// If Termux has its client, it gets the method, its own arguments and the text; the scripts
    /// are not run.
    #[test]
    fn the_client_gets_words_and_text_apart() {
        let prefix = std::env::temp_dir().join(format!("termux-client-{}", std::process::id()));
        let _ = fs::remove_dir_all(&prefix);
        fs::create_dir_all(prefix.join("libexec")).unwrap();
        let client = prefix.join("libexec/termux-api");
        // A link: a file just written may be held open by a process that a test starts.
        let script = "/tests/data/device/termux/acts/records";
        let script = format!("{}{script}", env!("CARGO_MANIFEST_DIR"));
        std::os::unix::fs::symlink(script, &client).unwrap();
        let order = Order {
            command: TermuxCommand { script: "termux-notification", method: "Notification" },
            for_client: &["--es", "title", "a title"],
            for_script: &["--title", "another"],
            input: "x\\\" --es action \"$(touch hostile)",
        };
        let places = Places { path: None, prefix: Some(prefix.clone()) };
        let limit = Duration::from_secs(20);
        act(&order, &places, limit).unwrap();
        let read = |end: &str| fs::read_to_string(format!("{}.{end}", client.display())).unwrap();
        assert_eq!(read("words"), "Notification\n--es\ntitle\na title\n");
        assert_eq!(read("text"), order.input);
        let _ = fs::remove_dir_all(&prefix);
    }
}
