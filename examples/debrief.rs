//! Reads an audit file and reports how the helpers did.
//!
//! ```text
//! cargo run --release --example debrief -- [AUDIT_FILE] [--html FILE] [--since 24h] …
//! ```
//!
//! Without a file it reads `src/memory/audit.jsonl`, where the demo writes. The report goes
//! to the screen, and as Markdown to `docs/debrief/latest.md` or the file of `--out`; `--help`
//! has all options.
#![allow(clippy::print_stderr, reason = "a program speaks to its user")]

#[path = "debrief/follow.rs"]
mod follow;
#[path = "debrief/options.rs"]
mod options;

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use automation_assistant::Debrief;
use automation_assistant::debrief::{LineFilter, LiveDebrief};
use options::{Options, USAGE};

/// Smaller files are read too fast for a progress line.
const PROGRESS_FROM_BYTES: u64 = 16 << 20;
const BLOCK_BYTES: usize = 64 << 10;

/// Reads the lines of a file that pass the filter; a large file with its progress on a
/// terminal.
fn read(audit: &Path, filter: LineFilter) -> Result<Debrief, Box<dyn Error>> {
    if !audit.exists() {
        return Err(format!(
            "there is no audit file {}\nmake one with: cargo run --release --example demo",
            audit.display()
        )
        .into());
    }
    let failed = |error| format!("cannot read {}: {error}", audit.display());
    let mut file = File::open(audit).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let watched = io::stderr().is_terminal() && total >= PROGRESS_FROM_BYTES;
    let mut live = LiveDebrief::new(filter);
    let mut block = vec![0; BLOCK_BYTES];
    let (mut done, mut reported) = (0, None);
    loop {
        let count = match file.read(&mut block) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error).into()),
        };
        if count == 0 {
            break;
        }
        live.add(&block[..count]);
        done += count as u64;
        let percent = done * 100 / total.max(done);
        if watched && reported != Some(percent) {
            reported = Some(percent);
            eprint!("\rreading {}: {percent} %", audit.display());
        }
    }
    if reported.is_some() {
        // Back to the line's start, and erase it.
        eprint!("\r\x1b[K");
    }
    Ok(live.report())
}

/// A report in the forms that a run of this program may put out.
struct Output {
    screen: String,
    markdown: String,
    html: Option<String>,
    prometheus: Option<String>,
}

fn report(options: &Options) -> Result<Output, Box<dyn Error>> {
    let debrief = read(&options.audit, options.filter())?;
    let html = options.html.is_some();
    if let Some(before) = &options.compare {
        let comparison = debrief.compare(&read(before, options.filter_before())?);
        return Ok(Output {
            screen: comparison.to_string(),
            markdown: comparison.to_markdown(),
            html: html.then(|| comparison.to_html()),
            prometheus: None,
        });
    }
    let mut screen = debrief.to_string();
    if options.json {
        screen = serde_json::to_string_pretty(&debrief.to_json())?;
    } else if options.histograms {
        screen = format!("{screen}\n{}", debrief.to_histograms());
    }
    Ok(Output {
        screen,
        markdown: debrief.to_markdown(),
        html: html.then(|| debrief.to_html()),
        prometheus: options.prometheus.is_some().then(|| debrief.to_prometheus()),
    })
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    if options.follow {
        return Ok(follow::follow(&options.audit, options.filter())?);
    }
    let output = report(options)?;
    // A reader that closes the pipe (`| head`) is no failure.
    match writeln!(io::stdout(), "{}", output.screen) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    write(&options.out, &output.markdown)?;
    if let (Some(path), Some(page)) = (&options.html, &output.html) {
        write(path, page)?;
    }
    if let (Some(path), Some(text)) = (&options.prometheus, &output.prometheus) {
        write(path, text)?;
    }
    if !options.json {
        eprintln!("report written to {}", options.out.display());
        options.html.iter().for_each(|path| eprintln!("page written to {}", path.display()));
    }
    Ok(())
}

fn main() -> ExitCode {
    let outcome = match Options::read(std::env::args_os().skip(1)) {
        Ok(Some(options)) => run(&options).map_err(|error| error.to_string()),
        Ok(None) => {
            // A reader that closes the pipe is no failure.
            let _ = writeln!(io::stdout(), "{USAGE}");
            Ok(())
        }
        Err(message) => {
            eprintln!("debrief: {message}\n{USAGE}");
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
