//! Reads an audit file and reports how the helpers did.
//!
//! ```text
//! cargo run --release --example debrief -- [AUDIT_FILE] [--out FILE] [--json]
//! ```
//!
//! Without a file it reads `src/memory/audit.jsonl`, where the demo writes. The report goes
//! to the screen, and as Markdown to `docs/debrief/latest.md` or the file given; `--json`
//! prints JSON in its place.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its user")]

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use automation_assistant::{DEFAULT_AUDIT_PATH, Debrief};

const DEFAULT_REPORT_PATH: &str = "docs/debrief/latest.md";

const USAGE: &str = "usage: debrief [AUDIT_FILE] [--out FILE] [--json]";

/// Smaller files are read before anybody could read a number.
const PROGRESS_FROM_BYTES: u64 = 16 << 20;

struct Options {
    audit: PathBuf,
    out: PathBuf,
    json: bool,
}

fn options() -> Result<Option<Options>, String> {
    let (mut audit, mut out, mut json) = (None, None, false);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--json") => json = true,
            Some("--help" | "-h") => return Ok(None),
            Some("--out") => match arguments.next() {
                Some(file) => out = Some(PathBuf::from(file)),
                None => return Err(format!("--out needs a file\n{USAGE}")),
            },
            Some(unknown) if unknown.starts_with("--") => {
                return Err(format!("unknown option {unknown}\n{USAGE}"));
            }
            _ if audit.is_none() => audit = Some(PathBuf::from(argument)),
            _ => return Err(format!("one audit file at a time\n{USAGE}")),
        }
    }
    Ok(Some(Options {
        audit: audit.unwrap_or_else(|| DEFAULT_AUDIT_PATH.into()),
        out: out.unwrap_or_else(|| DEFAULT_REPORT_PATH.into()),
        json,
    }))
}

/// Reads the file; a large one with its progress on a terminal.
fn read(audit: &Path) -> Result<Debrief, Box<dyn Error>> {
    if !audit.exists() {
        return Err(format!(
            "there is no audit file {}\nmake one with: cargo run --release --example demo",
            audit.display()
        )
        .into());
    }
    let watched = io::stderr().is_terminal();
    let mut told = None;
    let debrief = Debrief::from_path_with_progress(audit, |done, total| {
        let percent = done * 100 / total.max(1);
        if watched && total >= PROGRESS_FROM_BYTES && told != Some(percent) {
            told = Some(percent);
            eprint!("\rreading {}: {percent} %", audit.display());
        }
    })?;
    if told.is_some() {
        // Back to the line's start, and erase it.
        eprint!("\r\x1b[K");
    }
    Ok(debrief)
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let debrief = read(&options.audit)?;
    let report = if options.json {
        serde_json::to_string_pretty(&debrief.to_json())?
    } else {
        debrief.to_string()
    };
    // A reader that has seen enough (`| head`) is no failure.
    match writeln!(io::stdout(), "{report}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    if let Some(folder) = options.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&options.out, debrief.to_markdown())
        .map_err(|error| format!("cannot write {}: {error}", options.out.display()))?;
    if !options.json {
        eprintln!("report written to {}", options.out.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    let outcome = match options() {
        Ok(Some(options)) => run(&options).map_err(|error| error.to_string()),
        Ok(None) => {
            println!("{USAGE}");
            Ok(())
        }
        Err(message) => {
            eprintln!("debrief: {message}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("debrief: {message}");
            ExitCode::FAILURE
        }
    }
}
