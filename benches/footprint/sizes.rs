//! Bytes of stripped programs, part by part, and crates in the tree.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::programs::{self, SIZE_BARE_TLS, SIZE_CORE, SIZE_HTTP, SIZE_TLS};
use crate::report::{Goal, Report, Row};
use crate::{Fault, Options};

const LOCAL_BYTES_MAX: f64 = 432_000.0;
const HTTP_BYTES_MAX: f64 = 845_000.0;
const DEFAULT_BYTES_MAX: f64 = 1_770_000.0;
const LOCAL_CRATES_MAX: f64 = 14.0;
const DEFAULT_CRATES_MAX: f64 = 30.0;

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Fault> {
    let core = programs::build(&SIZE_CORE)?;
    let http_folder = programs::build(&SIZE_HTTP)?;
    programs::build(&SIZE_TLS)?;
    programs::build(&SIZE_BARE_TLS)?;
    let of = |name: &str| bytes(&core.join(name));
    let (empty, pool, json) = (of("empty")?, of("threads_crossbeam")?, of("json")?);
    let (local, http, tls) = (of("local")?, of("client_http")?, of("client_default")?);
    let all = of("client_all")?;
    let debrief = of("local_debrief")?;
    let (ureq, ureq_tls) = (of("ureq_plain")?, of("ureq_tls")?);
    report.add(
        Row::new("Local-only program", "bytes")
            .floor("threads + crossbeam-channel", pool)
            .floor("empty main", empty)
            .floor("threads + std mpsc", of("threads_mpsc")?)
            .us("one Local helper", local)
            .us("with an audit file", of("local_telemetry")?)
            .us("with an audit file and its report", of("local_all")?)
            .goal(Goal::AtMost(LOCAL_BYTES_MAX)),
    );
    report.add(
        Row::new("plain HTTP (feature http)", "bytes")
            .floor("bare ureq + serde_json in threads", ureq)
            .us("three backends", http)
            .goal(Goal::AtMost(HTTP_BYTES_MAX)),
    );
    let row = Row::new("default features", "bytes")
        .floor("bare ureq + rustls + roots + serde_json in threads", ureq_tls)
        .us("three backends, TLS, audit file", tls)
        .us("the same and the audit file's report", all)
        .goal(Goal::AtMost(DEFAULT_BYTES_MAX));
    report.add(peers(options, row)?);
    if !options.check {
        packed(report)?;
        crate::capi::sizes(report)?;
    }
    let part = |name, more: f64, less: f64| Row::new(name, "bytes").us("", more - less);
    let roots = of("roots")?;
    for row in [
        part("part: core with JSON (Local-only - pool)", local, pool),
        part("part: of that, JSON (Value in and out - pool)", json, pool),
        part("part: telemetry", of("local_telemetry")?, local),
        part("part: debrief", debrief, local),
        part("part: its page (to_html)", of("local_html")?, debrief),
        part("part: its Prometheus text (to_prometheus)", of("local_prometheus")?, debrief),
        part("part: its comparison (compare)", of("local_compare")?, debrief),
        part("part: HTTP (three backends)", http, local),
        part("part: HTTP with ChatGPT alone", of("provider_chatgpt")?, local),
        part("part: Comet beside ChatGPT", of("provider_comet")?, of("provider_chatgpt")?),
        part(
            "part: Local and its server, likewise",
            of("provider_local")?,
            of("provider_chatgpt")?,
        ),
        part("part: Anthropic, likewise", of("provider_anthropic")?, of("provider_chatgpt")?),
        part("part: pictures, likewise", of("provider_images")?, of("provider_chatgpt")?),
        part("part: HTTP of bare ureq (bare ureq - JSON)", ureq, json),
        part("part: TLS and audit file (default features)", tls, http),
        part("part: roots", roots, empty),
        part("part: TLS without roots (bare ureq)", ureq_tls - (roots - empty), ureq),
    ] {
        report.add(row);
    }
    for (key, value) in [("local", local), ("http", http), ("default", tls), ("default_all", all)] {
        report.gate(format!("size.{key}"), value);
    }
    report.gate("size.local_all", of("local_all")?);
    parts_are_not_linked_unasked(&core, &http_folder)?;
    crates(report)
}

/// A program that does not name a part does not link it. Each part is known by a text of its own,
/// which is in the program that names it and in no other.
fn parts_are_not_linked_unasked(core: &Path, http: &Path) -> Result<(), Fault> {
    let forms = [
        ("local_html", "<!DOCTYPE html>"),
        ("local_prometheus", "# HELP "),
        ("local_compare", "No difference that cannot be chance"),
    ];
    not_linked_unasked(core, &forms, "local_debrief")?;
    let parts = [
        ("provider_anthropic", "anthropic-version"),
        ("provider_comet", "comet-workspace"),
        ("provider_images", "by its first bytes: convert it"),
    ];
    not_linked_unasked(http, &parts, "provider_chatgpt")
}

fn not_linked_unasked(folder: &Path, parts: &[(&str, &str)], plain: &str) -> Result<(), Fault> {
    for (caller, text) in parts {
        for program in parts.iter().map(|(program, _)| *program).chain([plain]) {
            let bytes = std::fs::read(folder.join(program))?;
            let linked = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            if linked != (program == *caller) {
                return Err(format!("{program}: {text:?} in it is {linked}").into());
            }
        }
    }
    Ok(())
}

/// The same programs, packed.
fn packed(report: &mut Report) -> Result<(), Fault> {
    let folder = programs::build_packed(&SIZE_CORE)?;
    for set in [&SIZE_HTTP, &SIZE_TLS, &SIZE_BARE_TLS] {
        programs::build_packed(set)?;
    }
    for (what, floor, ours) in [
        ("Local-only program", "threads_crossbeam", &["local"][..]),
        ("plain HTTP", "ureq_plain", &["client_http"]),
        ("default features", "ureq_tls", &["client_default", "client_all"]),
    ] {
        let mut row =
            Row::new(format!("{what}, packed"), "bytes").floor(floor, bytes(&folder.join(floor))?);
        for name in ours {
            row = row.us(*name, bytes(&folder.join(name))?);
        }
        report.add(row);
    }
    Ok(())
}

fn bytes(path: &Path) -> Result<f64, Fault> {
    Ok(std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?.len() as f64)
}

fn peers(options: &Options, mut row: Row) -> Result<Row, Fault> {
    if !options.peers {
        return Ok(row);
    }
    let folder = programs::build_in("peers", &crate::in_flight::PEERS)?;
    for name in crate::in_flight::PEERS.programs {
        row = row.peer(*name, bytes(&folder.join(name))?);
    }
    Ok(row)
}

fn crates(report: &mut Report) -> Result<(), Fault> {
    for (key, what, arguments, most) in [
        ("local", "Local-only", &["--no-default-features"][..], Some(LOCAL_CRATES_MAX)),
        ("http", "http", &["--no-default-features", "--features", "http"], None),
        ("default", "default features", &[], Some(DEFAULT_CRATES_MAX)),
    ] {
        let count = count_crates(arguments)?;
        let mut row = Row::new(format!("normal crates below us, {what}"), "crates").us("", count);
        if let Some(most) = most {
            row = row.goal(Goal::AtMost(most));
        }
        report.add(row);
        report.gate(format!("crates.{key}"), count);
    }
    Ok(())
}

/// Crates that `cargo tree` names, without the library itself.
fn count_crates(arguments: &[&str]) -> Result<u32, Fault> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--locked", "-e", "normal", "--prefix", "none", "--manifest-path"]);
    cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).args(arguments);
    let text = programs::output(&mut cargo)?;
    let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    Ok(u32::try_from(names.iter().filter(|name| !name.is_empty()).count())?.saturating_sub(1))
}
