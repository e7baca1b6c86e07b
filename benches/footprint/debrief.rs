//! A large audit file becomes a report: processor time and peak memory.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::programs::{self, TOOLS};
use crate::report::{Goal, Report, Role, Row};
use crate::{Fault, Options};

const LINES: u64 = 2_000_000;
/// Each reader reads the file so often; the middle time counts. (But jq, which takes long.)
const RUNS: usize = 3;
/// Enough for the gate, which is memory alone.
const LINES_CHECK: u64 = 200_000;
const PEAK_KIB_MAX: f64 = 4096.0;
const TIMES_DUCKDB_MAX: f64 = 0.7;

/// The python that may have duckdb and polars: `FOOTPRINT_PYTHON`, or the system's.
fn python() -> String {
    std::env::var("FOOTPRINT_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

const DUCKDB: &str = "
import sys, time, duckdb
duckdb.sql('set threads to 1')
duckdb.sql(f\"\"\"select backend, count(*), count(*) filter (not success), avg(latency_ms),
  quantile_cont(latency_ms, [0.5, 0.95]) from read_json('{sys.argv[1]}',
  format='newline_delimited', columns={{run_id: 'varchar', event: 'varchar',
  backend: 'varchar', latency_ms: 'double', success: 'boolean', error: 'varchar'}})
  group by backend\"\"\").fetchall()
print(time.process_time())
";

const POLARS: &str = "
import sys, time, polars as pl
frame = pl.scan_ndjson(sys.argv[1], schema={'run_id': pl.String, 'event': pl.String,
  'backend': pl.String, 'latency_ms': pl.Float64, 'success': pl.Boolean, 'error': pl.String})
ms = pl.col('latency_ms')
frame.group_by('backend').agg(pl.len(), (~pl.col('success')).sum().alias('failed'),
  ms.mean().alias('avg'), ms.quantile(0.5).alias('p50'), ms.quantile(0.95).alias('p95')).collect(
  engine='streaming')
print(time.process_time())
";

const JQ: &str = "reduce inputs as $l ({}; .[$l.backend // \"\"] |= \
    {n: (.n + 1), failed: (.failed + if $l.success then 0 else 1 end), ms: (.ms + $l.latency_ms)})";

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Fault> {
    let tools = programs::build(&TOOLS)?;
    let lines = if options.check { LINES_CHECK } else { LINES };
    let file = programs::scratch("debrief.jsonl");
    generate(&file, lines)?;
    let scan = tools.join("scan");
    let mut rows = Rows::new(lines, std::fs::metadata(&file)?.len());
    for (role, name, how) in [
        (Role::Floor, "newlines by memchr", "memchr"),
        (Role::Floor, "read(2) alone", "read"),
        (Role::Us, "us", "us"),
        (Role::Peer, "serde_json Value, latencies kept", "value"),
    ] {
        let (seconds, peak) = middle(|| {
            let (text, peak) = programs::watched(Command::new(&scan).arg(how).arg(&file))?;
            let nanos: f64 = text.split(' ').next().unwrap_or_default().parse()?;
            Ok((nanos / 1e9, peak))
        })?;
        rows.add(role, name, seconds, peak);
    }
    let peak = rows.our_peak;
    if !options.check {
        tools_of_others(&file, &mut rows)?;
    }
    std::fs::remove_file(&file)?;
    rows.add_to(report, options.check);
    report.gate("memory.debrief_peak_kib", peak);
    Ok(())
}

/// Lines as the library writes them: three backends, five runs, some failures.
fn generate(path: &Path, lines: u64) -> Result<(), Fault> {
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    let backends = ["Local (local-mock)", "ChatGPT (gpt-4o-mini)", "Comet (gpt-4o-mini)"];
    for n in 0..lines {
        let run = n * 5 / lines;
        // Spread as latencies are: many small, few large.
        let latency = 1.0 + ((n.wrapping_mul(2_654_435_761) % 10_007) as f64).powi(2) / 40_000.0;
        let backend = backends[(n % 3) as usize];
        let event = if n % 2 == 0 { "backend_call" } else { "task_complete" };
        write!(
            out,
            "{{\"timestamp\":{}.{:06},\"run_id\":\"20251122_16464{run}\",\"event\":\"{event}\",\
             \"helper_id\":\"1f2e3d4c\",\"backend\":\"{backend}\",\"latency_ms\":{latency:.3}",
            1_763_830_000 + n / 1000,
            n % 1_000_000
        )?;
        match n % 50 {
            0 => write!(out, ",\"success\":false,\"error\":\"the server fell silent\"")?,
            _ => write!(out, ",\"success\":true")?,
        }
        writeln!(out, ",\"task_id\":\"1f2e3d4c-{:08x}\",\"seq\":{}}}", n / 2, n + 1)?;
    }
    Ok(out.flush()?)
}

fn tools_of_others(file: &Path, rows: &mut Rows) -> Result<(), Fault> {
    let python = python();
    for (name, script, module) in
        [("DuckDB, one thread", DUCKDB, "duckdb"), ("Polars, streaming", POLARS, "polars")]
    {
        if !works(Command::new(&python).arg("-c").arg(format!("import {module}"))) {
            let why = "not here: FOOTPRINT_PYTHON names a python that has it";
            rows.absent(name, why);
            continue;
        }
        let (seconds, peak) = middle(|| {
            let mut command = Command::new(&python);
            let (text, peak) = programs::watched(command.arg("-c").arg(script).arg(file))?;
            Ok((text.trim().parse()?, peak))
        })?;
        rows.add(Role::Peer, name, seconds, peak);
    }
    if !works(Command::new("jq").arg("--version")) {
        rows.absent("jq", "not here");
        return Ok(());
    }
    let before = children_cpu()?;
    let (_, peak) = programs::watched(Command::new("jq").args(["-n", JQ]).arg(file))?;
    rows.add(Role::Peer, "jq, line by line, averages only", children_cpu()? - before, peak);
    Ok(())
}

/// The middle time of several runs, and the largest peak.
fn middle(run: impl Fn() -> Result<(f64, u64), Fault>) -> Result<(f64, u64), Fault> {
    let runs = (0..RUNS).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    let mut seconds: Vec<_> = runs.iter().map(|(seconds, _)| *seconds).collect();
    let peak = runs.iter().map(|(_, peak)| *peak).max().unwrap_or(0);
    Ok((crate::report::median(&mut seconds), peak))
}

fn works(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Seconds of processor time of all children that have ended.
fn children_cpu() -> Result<f64, Fault> {
    /// One tick of /proc/PID/stat is a hundredth of a second on every Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, after)| after);
    // cutime and cstime are fields 16 and 17; what follows the name begins with field 3.
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

/// The two rows, filled side by side.
struct Rows {
    cpu: Row,
    peak: Row,
    ours: f64,
    our_peak: f64,
    duckdb: Option<f64>,
}

impl Rows {
    fn new(lines: u64, bytes: u64) -> Self {
        let what = format!("{lines} lines, {} MB", bytes / 1_000_000);
        let (cpu, peak) = (Row::new(what.clone(), "s of processor"), Row::new(what, "KiB at most"));
        Self { cpu, peak, ours: f64::NAN, our_peak: f64::NAN, duckdb: None }
    }

    fn add(&mut self, role: Role, name: &str, seconds: f64, peak: u64) {
        if role == Role::Us {
            (self.ours, self.our_peak) = (seconds, peak as f64);
        }
        if name.starts_with("DuckDB") {
            self.duckdb = Some(seconds);
        }
        self.cpu = self.cpu.clone().entry(role, name, Some(seconds), "");
        self.peak = self.peak.clone().entry(role, name, Some(peak as f64), "");
    }

    fn absent(&mut self, name: &str, why: &str) {
        self.cpu = self.cpu.clone().absent(name, why);
        self.peak = self.peak.clone().absent(name, why);
    }

    fn add_to(self, report: &mut Report, check: bool) {
        let mut cpu = self.cpu;
        if let Some(duckdb) = self.duckdb {
            cpu = cpu
                .goal(Goal::AtMost(TIMES_DUCKDB_MAX * duckdb))
                .note(format!("{:.2}x DuckDB's processor time", self.ours / duckdb));
        }
        if !check {
            report.add(cpu);
        }
        report.add(self.peak.goal(Goal::AtMost(PEAK_KIB_MAX)));
    }
}
