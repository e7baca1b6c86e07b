//! Memory while N helpers wait for a server that never answers: plain and TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::capi;
use crate::process::Memory;
use crate::programs::{self, Running, SIZE_BARE_TLS, SIZE_HTTP, SIZE_TLS, Set, TOOLS};
use crate::report::{Goal, Report, Role, Row};
use crate::{Fault, Options};

const HELPERS: [u32; 5] = [1, 4, 8, 16, 32];
/// The gate looks at the ends and the slope between them.
const HELPERS_CHECK: [u32; 3] = [1, 8, 32];
/// Starts of each program at each count; the middle figure counts. (Where the system loads a
/// program to, which is chance, decides which of its pages come along with those it asks for:
/// one reading may be 5 % from the next, and the middle of five readings 3 %.)
const RUNS: usize = 15;
const HTTP_KIB_MAX: f64 = 1000.0;
const DEFAULT_KIB_MAX: f64 = 1600.0;
const PER_HELPER_KIB_MAX: f64 = 40.0;

/// Clients of others, as programs with the same arguments as ours.
pub(crate) const PEERS: Set =
    Set { profile: "size", features: "", programs: &["async_openai", "genai", "openai_client"] };

/// A program to be watched, by name and how to start it.
struct Client {
    role: Role,
    name: &'static str,
    program: PathBuf,
    more: &'static [&'static str],
    /// The budget's name for it.
    key: Option<&'static str>,
}

pub(crate) fn measure(options: &Options, report: &mut Report) -> Result<(), Fault> {
    let tools = programs::build(&TOOLS)?;
    let size = programs::build(&SIZE_HTTP)?;
    programs::build(&SIZE_TLS)?;
    programs::build(&SIZE_BARE_TLS)?;
    let client = |role, name, program: &str, more, key| Client {
        role,
        name,
        program: size.join(program),
        more,
        key,
    };
    let mut plain = vec![
        client(Role::Floor, "bare ureq, 4 KiB buffers, no TLS linked", "ureq_plain", &[][..], None),
        client(Role::Floor, "bare ureq, 4 KiB buffers, TLS linked", "ureq_tls", &[], None),
        client(Role::Us, "us, feature http", "client_http", &[], Some("http")),
        client(Role::Us, "us, default features", "client_default", &[], Some("default")),
    ];
    let mut secure = vec![
        client(Role::Floor, "bare ureq, 4 KiB buffers", "ureq_tls", &[], None),
        client(Role::Us, "us, default features", "client_default", &[], Some("tls")),
    ];
    if !options.check {
        plain.push(client(Role::Peer, "naive ureq pool", "ureq_tls", &["naive"], None));
        secure.push(client(Role::Peer, "naive ureq pool", "ureq_tls", &["naive"], None));
        let packed = programs::build_packed(&SIZE_HTTP)?;
        programs::build_packed(&SIZE_TLS)?;
        programs::build_packed(&SIZE_BARE_TLS)?;
        let packed = |role, name, program: &str| Client {
            role,
            name,
            program: packed.join(program),
            more: &[],
            key: None,
        };
        plain.push(in_c("us, in C, feature http", "http")?);
        plain.push(in_c("us, in C, default features", "tls")?);
        secure.push(in_c("us, in C, default features", "tls")?);
        plain.push(packed(Role::Floor, "bare ureq, no TLS linked, packed", "ureq_plain"));
        plain.push(packed(Role::Floor, "bare ureq, TLS linked, packed", "ureq_tls"));
        plain.push(packed(Role::Us, "us, feature http, packed", "client_http"));
        plain.push(packed(Role::Us, "us, default features, packed", "client_default"));
        secure.push(packed(Role::Floor, "bare ureq, packed", "ureq_tls"));
        secure.push(packed(Role::Us, "us, default features, packed", "client_default"));
    }
    if options.peers {
        let folder = programs::build_in("peers", &PEERS)?;
        for name in PEERS.programs {
            let peer = || Client {
                role: Role::Peer,
                name,
                program: folder.join(name),
                more: &[],
                key: None,
            };
            plain.push(peer());
            // The other two take no root certificates of one's own.
            if *name == "async_openai" {
                secure.push(peer());
            }
        }
    }
    let counts = if options.check { &HELPERS_CHECK[..] } else { &HELPERS[..] };
    for (how, clients) in [("plain", plain), ("tls", secure)] {
        let measured = clients
            .iter()
            .map(|client| each_count(&tools, how, client, counts))
            .collect::<Result<Vec<_>, _>>()?;
        add_rows(report, how, &clients, counts, &measured);
    }
    Ok(())
}

/// The same client, written in C.
fn in_c(name: &'static str, features: &str) -> Result<Client, Fault> {
    let program = capi::program(capi::CLIENT, features, "unwind", &[])?;
    Ok(Client { role: Role::Us, name, program, more: &[], key: None })
}

/// Memory of a client at each number of helpers.
fn each_count(
    tools: &Path,
    how: &str,
    client: &Client,
    counts: &[u32],
) -> Result<Vec<Memory>, Fault> {
    let middle = |count| -> Result<Memory, Fault> {
        let runs = (0..RUNS).map(|_| in_flight(tools, how, client, count));
        Ok(crate::process::middle(&runs.collect::<Result<Vec<_>, _>>()?))
    };
    counts.iter().map(|&count| middle(count)).collect()
}

fn in_flight(tools: &Path, how: &str, client: &Client, count: u32) -> Result<Memory, Fault> {
    let pem = programs::scratch("in_flight.pem");
    let mut server =
        Running::start(Command::new(tools.join("server")).arg(how).arg("silent").arg(&pem))?;
    let address = server.line_after("READY")?;
    let scheme = if how == "tls" { "https" } else { "http" };
    let mut command = Command::new(&client.program);
    command.arg(format!("{scheme}://{address}/v1")).arg(count.to_string());
    if how == "tls" {
        command.arg(&pem).env("SSL_CERT_FILE", &pem);
    }
    command.args(client.more).env("OPENAI_API_KEY", "sk-bench");
    let running = Running::start(&mut command)?;
    for _ in 0..count {
        server.line_after("REQUEST")?;
    }
    crate::process::memory(running.id())
}

fn add_rows(
    report: &mut Report,
    how: &str,
    clients: &[Client],
    counts: &[u32],
    measured: &[Vec<Memory>],
) {
    type Pick = fn(&Memory) -> f64;
    let picks: [(&str, Pick); 3] = [
        ("PSS, KiB", |m| m.pss as f64),
        ("private, KiB", |m| m.private as f64),
        ("threads", |m| m.threads as f64),
    ];
    let parts: [(&str, Pick); 3] = [
        ("pages of the program's own file", |m| m.program as f64),
        ("pages written to: stacks, heap, relocated data", |m| m.written as f64),
        ("its share in the system's libraries", |m| m.libraries as f64),
    ];
    for (part, pick) in parts {
        let mut row = Row::new(format!("{how}, {} waiting, of PSS: {part}", counts[0]), "KiB");
        for (client, memory) in clients.iter().zip(measured) {
            row = row.entry(client.role, client.name, Some(pick(&memory[0])), "");
        }
        report.add(row);
    }
    for (unit, pick) in picks {
        for (at, count) in counts.iter().enumerate() {
            let mut row = Row::new(format!("{how}, {count} waiting"), unit);
            for (client, memory) in clients.iter().zip(measured) {
                row = row.entry(client.role, client.name, Some(pick(&memory[at])), "");
            }
            if unit == "PSS, KiB" && how == "plain" && *count == 1 {
                // The row's first of us is the `http` build.
                row = row
                    .goal(Goal::AtMost(HTTP_KIB_MAX))
                    .note(format!("goal with default features: at most {DEFAULT_KIB_MAX} KiB"));
            }
            report.add(row);
        }
    }
    let mut row = Row::new(format!("{how}, per extra helper"), "PSS, KiB");
    let (first, last) = (0, counts.len() - 1);
    let more = f64::from(counts[last] - counts[first]);
    for (client, memory) in clients.iter().zip(measured) {
        let slope = (memory[last].pss as f64 - memory[first].pss as f64) / more;
        row = row.entry(client.role, client.name, Some(slope), "");
        let Some(key) = client.key else { continue };
        for (count, memory) in counts.iter().zip(memory) {
            // So that a full run and a check write the same keys.
            if HELPERS_CHECK.contains(count) {
                // Pages written to: the rest of PSS is the program's file, whose size has
                // a gate of its own, and the system's libraries, which others share or not.
                report.gate(format!("memory.{how}_{key}_{count}_kib"), memory.written as f64);
                report.gate(format!("threads.{how}_{key}_{count}"), memory.threads as f64);
            }
        }
    }
    if how == "plain" {
        row = row.goal(Goal::AtMost(PER_HELPER_KIB_MAX));
    }
    report.add(row);
    crossings(report, how, clients, counts, measured);
}

/// Where a one-thread async client begins to need less than we do.
fn crossings(
    report: &mut Report,
    how: &str,
    clients: &[Client],
    counts: &[u32],
    measured: &[Vec<Memory>],
) {
    let last = counts.len() - 1;
    let line = |memory: &[Memory]| {
        let (from, to) = (memory[0].pss as f64, memory[last].pss as f64);
        (from, (to - from) / f64::from(counts[last] - counts[0]))
    };
    let lines = || clients.iter().zip(measured).map(|(client, memory)| (client, line(memory)));
    for (peer, (peer_base, peer_slope)) in lines().filter(|(client, _)| client.role == Role::Peer) {
        let mut row = Row::new(format!("{how}, lines cross with {}", peer.name), "helpers");
        for (ours, (base, slope)) in lines().filter(|(client, _)| client.role == Role::Us) {
            let at = f64::from(counts[0]) + (peer_base - base) / (slope - peer_slope);
            let crosses = slope > peer_slope && at > 0.0;
            let note = if crosses { "" } else { "never, as far as measured" };
            row = row.entry(Role::Us, ours.name, crosses.then_some(at.floor()), note);
        }
        report.add(row);
    }
}
