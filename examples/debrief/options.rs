//! The options of the command line.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use automation_assistant::DEFAULT_AUDIT_PATH;
use automation_assistant::debrief::LineFilter;

use super::follow::is_same;

const DEFAULT_REPORT_PATH: &str = "docs/debrief/latest.md";

pub(crate) const USAGE: &str = "\
usage: debrief [AUDIT_FILE] [options]
  --out FILE         where the Markdown goes (docs/debrief/latest.md)
  --html FILE        writes the page too
  --prometheus FILE  writes Prometheus's text format too
  --json             prints JSON in place of the report
  --histograms       prints each backend's latencies as a histogram too
  --since 24h        only lines of the last 24 hours (s, m, h, d)
  --run ID           only lines of this run
  --backend NAME     only lines of this backend
  --compare FILE     what changed since FILE; with --since and the
                     same file, since the lines before that
  --follow           a live view while a program writes";

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) audit: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) html: Option<PathBuf>,
    pub(crate) prometheus: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) histograms: bool,
    pub(crate) compare: Option<PathBuf>,
    pub(crate) follow: bool,
    since: Option<SystemTime>,
    run: Option<String>,
    backend: Option<String>,
}

impl Options {
    /// Nothing: the user asks for help.
    pub(crate) fn read(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let mut found = Self::default();
        let (mut audit, mut out) = (None, None);
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let name = argument.to_str().unwrap_or_default().to_owned();
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            let text = |value: OsString| {
                value.into_string().map_err(|value| format!("{} is no text", value.display()))
            };
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--json" => found.json = true,
                "--histograms" => found.histograms = true,
                "--follow" => found.follow = true,
                "--out" => out = Some(PathBuf::from(value()?)),
                "--html" => found.html = Some(value()?.into()),
                "--prometheus" => found.prometheus = Some(value()?.into()),
                "--compare" => found.compare = Some(value()?.into()),
                "--since" => found.since = Some(before_now(&text(value()?)?)?),
                "--run" => found.run = Some(text(value()?)?),
                "--backend" => found.backend = Some(text(value()?)?),
                unknown if unknown.starts_with("--") => {
                    return Err(format!("unknown option {unknown}"));
                }
                _ if audit.is_none() => audit = Some(PathBuf::from(argument)),
                _ => return Err("one audit file at a time".to_owned()),
            }
        }
        found.audit = audit.unwrap_or_else(|| DEFAULT_AUDIT_PATH.into());
        found.out = out.unwrap_or_else(|| DEFAULT_REPORT_PATH.into());
        found.check().map(Some)
    }

    fn check(self) -> Result<Self, String> {
        let files = self.html.is_some() || self.prometheus.is_some() || self.compare.is_some();
        if self.follow && (files || self.json) {
            return Err("--follow shows the report alone".to_owned());
        }
        if self.compare.is_some() && (self.json || self.prometheus.is_some()) {
            return Err("--compare prints text, Markdown or a page".to_owned());
        }
        let others = [("--html", &self.html), ("--prometheus", &self.prometheus)];
        let others =
            others.into_iter().filter_map(|(option, place)| Some((option, place.as_ref()?)));
        for (option, place) in others.chain([("--out", &self.out)]) {
            if self.would_lose(place) {
                let shown = place.display();
                return Err(format!("{option} {shown} would overwrite an audit file"));
            }
        }
        Ok(self)
    }

    /// Whether a report in this place would overwrite a file that is read, or another audit file.
    fn would_lose(&self, place: &Path) -> bool {
        // Pipes and devices lose nothing.
        let Some(there) = place.metadata().ok().filter(Metadata::is_file) else { return false };
        let is_read = |input: &PathBuf| input.metadata().is_ok_and(|input| is_same(&input, &there));
        let mut first = [0];
        let read = File::open(place).and_then(|mut file| file.read(&mut first));
        // No report begins as a line of an audit file does.
        is_read(&self.audit) || self.compare.iter().any(is_read) || read.is_ok() && first == *b"{"
    }

    /// Which lines of the audit file are meant.
    pub(crate) fn filter(&self) -> LineFilter {
        let mut filter = self.filter_by_name();
        if let Some(since) = self.since {
            filter = filter.since(since);
        }
        if let Some(run) = &self.run {
            filter = filter.run(run);
        }
        filter
    }

    /// Which lines of the file to compare with are meant.
    pub(crate) fn filter_before(&self) -> LineFilter {
        let filter = self.filter_by_name();
        match self.since {
            Some(since) if self.compare.as_ref() == Some(&self.audit) => filter.until(since),
            _ => filter,
        }
    }

    fn filter_by_name(&self) -> LineFilter {
        match &self.backend {
            Some(backend) => LineFilter::new().backend(backend),
            None => LineFilter::new(),
        }
    }
}

/// The moment so long ago: `90s`, `30m`, `24h`, `7d`.
fn before_now(text: &str) -> Result<SystemTime, String> {
    let wrong = || format!("--since takes a time such as 90s, 30m, 24h or 7d, not {text}");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    let ago = number.checked_mul(seconds).map(Duration::from_secs);
    ago.and_then(|ago| SystemTime::now().checked_sub(ago)).ok_or_else(wrong)
}
