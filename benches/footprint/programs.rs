//! Builds the small programs and starts them.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fault;

const BENCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
/// Built things and scratch files go where cargo wants a bench's files to be.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// Longest run of a program that answers with figures.
const RUN_MAX: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(2);

/// A feature set of the programs, and those built with it.
pub(crate) struct Set {
    pub(crate) profile: &'static str,
    pub(crate) features: &'static str,
    pub(crate) programs: &'static [&'static str],
}

pub(crate) const SIZE_CORE: Set = Set {
    profile: "size",
    features: "",
    programs: &[
        "empty",
        "threads_mpsc",
        "threads_crossbeam",
        "json",
        "local",
        "local_telemetry",
        "local_debrief",
        "local_html",
        "local_prometheus",
        "local_compare",
        "local_all",
    ],
};
pub(crate) const SIZE_HTTP: Set = Set {
    profile: "size",
    features: "http",
    programs: &[
        "client_http",
        "calls",
        "ureq_plain",
        "provider_chatgpt",
        "provider_comet",
        "provider_local",
        "provider_anthropic",
        "provider_images",
    ],
};
pub(crate) const SIZE_TLS: Set =
    Set { profile: "size", features: "tls", programs: &["client_default", "client_all"] };
/// Apart from ours: features of a crate are shared by all that one build makes.
pub(crate) const SIZE_BARE_TLS: Set =
    Set { profile: "size", features: "bare_tls", programs: &["ureq_tls", "roots"] };
pub(crate) const TOOLS: Set = Set {
    profile: "release",
    features: "tools",
    programs: &["server", "dispatch", "lines", "scan", "allocations"],
};

/// Pools and writers of others, in benches/peers.
pub(crate) const PEER_TOOLS: Set =
    Set { profile: "release", features: "", programs: &["pools", "writers"] };

/// The largest saving without a change of the program. Relocations, 24 bytes each, are written as
/// bits: glibc takes it from 2.36 on, Android from 9 on. A stripped program that aborts has no use
/// for unwind tables of its own code (those of std stay).
const PACKED: &str = "-Clink-arg=-Wl,-z,pack-relative-relocs -Cforce-unwind-tables=no";

/// Where a file of this run may lie.
pub(crate) fn scratch(name: &str) -> PathBuf {
    Path::new(SCRATCH).join(name)
}

/// Builds a set, if that was not done yet, and gives the folder of its programs.
pub(crate) fn build(set: &Set) -> Result<PathBuf, Fault> {
    build_in("programs", set)
}

/// The same, [packed](PACKED), in a folder of its own.
pub(crate) fn build_packed(set: &Set) -> Result<PathBuf, Fault> {
    build_with("programs", set, "-packed", PACKED)
}

/// The same for a crate of this name in benches/.
pub(crate) fn build_in(krate: &str, set: &Set) -> Result<PathBuf, Fault> {
    build_with(krate, set, "", "")
}

fn build_with(krate: &str, set: &Set, suffix: &str, flags: &str) -> Result<PathBuf, Fault> {
    let target = scratch(&format!("{krate}{suffix}"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]);
    cargo.arg(format!("{BENCHES}/{krate}/Cargo.toml")).arg("--target-dir").arg(&target);
    cargo.args(["--profile", set.profile, "--features", set.features]);
    for program in set.programs {
        cargo.args(["--bin", program]);
    }
    // Settings for the bench itself must not reach what it measures.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    if !flags.is_empty() {
        cargo.env("RUSTFLAGS", flags);
    }
    if !cargo.status()?.success() {
        let hint = "if the library's dependencies have changed, run `cargo metadata` in it";
        return Err(format!("benches/{krate} ({}) does not build; {hint}", set.features).into());
    }
    let profile = if set.profile == "dev" { "debug" } else { set.profile };
    let folder = target.join(profile);
    set.programs.iter().try_for_each(|program| drop_cached(&folder.join(program)))?;
    Ok(folder)
}

/// Takes a program out of the system's cache of files, so that the next start reads it from the
/// disk as after a boot. (What a linker has just written is cached in large folios, and a start
/// maps all of one of which it needs a page: a third of the program more.)
pub(crate) fn drop_cached(program: &Path) -> Result<(), Fault> {
    output(Command::new("sync").arg(program))?;
    let mut input = std::ffi::OsString::from("if=");
    input.push(program);
    output(Command::new("dd").arg(input).args(["iflag=nocache", "count=0", "status=none"]))?;
    Ok(())
}

/// A program that runs until its standard input ends, or this is dropped.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Fault> {
        let what = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|fault| format!("{what}: {fault}"))?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { input: child.stdin.take(), child, output })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line; an error at the end of the output.
    pub(crate) fn line(&mut self) -> Result<String, Fault> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("a program ended early".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Reads lines up to the one that begins so, and gives its rest.
    pub(crate) fn line_after(&mut self, start: &str) -> Result<String, Fault> {
        loop {
            if let Some(rest) = self.line()?.strip_prefix(start) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Lets it end.
    pub(crate) fn end(mut self) -> Result<(), Fault> {
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"\n");
        }
        Ok(self.child.wait().map(drop)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, or ours to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end and gives what it printed; fails if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String, Fault> {
    let what = format!("{command:?}");
    let out = command.stderr(Stdio::inherit()).output().map_err(|e| format!("{what}: {e}"))?;
    if !out.status.success() {
        return Err(format!("{what}: {}", out.status).into());
    }
    Ok(String::from_utf8(out.stdout)?)
}

/// Runs a program to its end and watches its memory: what it printed, and its peak in KiB.
pub(crate) fn watched(command: &mut Command) -> Result<(String, u64), Fault> {
    let what = format!("{command:?}");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let began = Instant::now();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(crate::process::status(child.id(), "VmHWM").unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() > RUN_MAX {
            child.kill()?;
        }
        std::thread::sleep(POLL);
    };
    let mut text = String::new();
    if let Some(mut out) = child.stdout.take() {
        std::io::Read::read_to_string(&mut out, &mut text)?;
    }
    if !status.success() {
        return Err(format!("{what}: {status}").into());
    }
    Ok((text, peak))
}
