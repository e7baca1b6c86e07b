//! An authentication and firewall log in, findings out.
//!
//! `cargo run --release --example network_security -- [LOG_FILE]`
//!
//! The program reads the facts out of the log itself: counts, addresses, times. Only the
//! facts go to the helper, which interprets them and advises: a model counts badly,
//! and a log holds private data. Without LOG_FILE a sample is read.
#![allow(clippy::print_stderr, reason = "a program speaks to its user")]

#[macro_use]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use automation_assistant::{AutomationAssistantManager, TaskRequest};
use serde_json::{Value, json};

/// Most bytes of a log that are read (the end of a longer one is not).
const LOG_BYTES_MAX: u64 = 8 << 20;
/// Most addresses that go to the helper: the worst first.
const ADDRESSES_MAX: usize = 10;
/// Longest name of a user that is shown (Linux's own limit).
const NAME_BYTES_MAX: usize = 32;
/// More failed logins than one person's mistakes.
const FAILURES_SUSPECT: usize = 4;
/// More blocked ports than a mistake explains.
const PORTS_SUSPECT: usize = 4;

/// A sample of lines by sshd, sudo and a firewall; the addresses are for documentation.
const SAMPLE: &str = "\
Nov 22 03:10:02 home sshd[811]: Accepted publickey for anna from 192.0.2.14 port 50122 ssh2
Nov 22 03:11:40 home sshd[840]: Failed password for invalid user admin from 203.0.113.77 port 41022 ssh2
Nov 22 03:11:43 home sshd[840]: Failed password for invalid user admin from 203.0.113.77 port 41022 ssh2
Nov 22 03:11:47 home sshd[842]: Failed password for root from 203.0.113.77 port 41030 ssh2
Nov 22 03:11:50 home sshd[842]: Failed password for root from 203.0.113.77 port 41030 ssh2
Nov 22 03:11:54 home sshd[845]: Failed password for backup from 203.0.113.77 port 41044 ssh2
Nov 22 03:11:58 home sshd[845]: Failed password for backup from 203.0.113.77 port 41044 ssh2
Nov 22 03:12:03 home sshd[845]: Accepted password for backup from 203.0.113.77 port 41044 ssh2
Nov 22 03:12:31 home sudo:   backup : TTY=pts/1 ; PWD=/home/backup ; USER=root ; COMMAND=/usr/bin/cat /etc/shadow
Nov 22 03:14:09 home kernel: [UFW BLOCK] IN=wlan0 OUT= SRC=198.51.100.9 DST=192.0.2.1 PROTO=TCP SPT=60001 DPT=22
Nov 22 03:14:09 home kernel: [UFW BLOCK] IN=wlan0 OUT= SRC=198.51.100.9 DST=192.0.2.1 PROTO=TCP SPT=60001 DPT=23
Nov 22 03:14:10 home kernel: [UFW BLOCK] IN=wlan0 OUT= SRC=198.51.100.9 DST=192.0.2.1 PROTO=TCP SPT=60001 DPT=80
Nov 22 03:14:10 home kernel: [UFW BLOCK] IN=wlan0 OUT= SRC=198.51.100.9 DST=192.0.2.1 PROTO=TCP SPT=60001 DPT=445
Nov 22 03:14:11 home kernel: [UFW BLOCK] IN=wlan0 OUT= SRC=198.51.100.9 DST=192.0.2.1 PROTO=TCP SPT=60001 DPT=3389
Nov 22 03:15:00 home CRON[901]: pam_unix(cron:session): session opened for user root
Nov 22 03:20:12 home sshd[930]: Failed password for anna from 192.0.2.14 port 50190 ssh2
Nov 22 03:20:19 home sshd[930]: Accepted password for anna from 192.0.2.14 port 50190 ssh2
";

/// The log's facts about one address.
#[derive(Default)]
struct Address {
    failed: usize,
    users: BTreeSet<String>,
    /// Users that got in, with the failures before that.
    entered: Vec<(String, usize)>,
    blocked_ports: BTreeSet<u16>,
}

impl Address {
    /// 0 for nothing suspicious, 3 for the worst.
    fn severity(&self) -> u8 {
        let broken_in = self.entered.iter().any(|(_, before)| *before >= FAILURES_SUSPECT);
        let guessing = self.failed >= FAILURES_SUSPECT;
        let scanning = self.blocked_ports.len() >= PORTS_SUSPECT;
        if broken_in { 3 } else { u8::from(guessing) + u8::from(scanning) }
    }
}

#[derive(Default)]
struct Facts {
    lines: usize,
    addresses: BTreeMap<String, Address>,
    /// Commands run as another user: who, as whom, what.
    sudo: Vec<(String, String, String)>,
}

impl Facts {
    fn read(log: &str) -> Self {
        let mut facts = Self::default();
        for line in log.lines().filter(|line| !line.trim().is_empty()) {
            facts.lines += 1;
            if let Some((user, ip)) = login(line, "Failed password for ") {
                let address = facts.addresses.entry(ip).or_default();
                address.failed += 1;
                address.users.insert(user);
            } else if let Some((user, ip)) = login(line, "Accepted ") {
                let address = facts.addresses.entry(ip).or_default();
                address.entered.push((user, address.failed));
            } else if let (Some(ip), Some(port)) = (field(line, "SRC="), field(line, "DPT=")) {
                let ports = &mut facts.addresses.entry(ip.to_owned()).or_default().blocked_ports;
                ports.extend(port.parse::<u16>());
            } else if let Some((_, entry)) = line.split_once(" sudo: ") {
                let who = entry.split(':').next().unwrap_or_default().trim();
                let what = entry.split_once("COMMAND=").map_or("?", |(_, what)| what);
                let whom = field(entry, "USER=").unwrap_or("?");
                facts.sudo.push((who.to_owned(), whom.to_owned(), what.to_owned()));
            }
        }
        facts
    }

    /// Suspicious addresses, the worst first.
    fn suspects(&self) -> Vec<(&String, &Address)> {
        let mut odd: Vec<_> =
            self.addresses.iter().filter(|(_, address)| address.severity() > 0).collect();
        odd.sort_by_key(|(_, address)| std::cmp::Reverse((address.severity(), address.failed)));
        odd.truncate(ADDRESSES_MAX);
        odd
    }

    fn to_context(&self) -> Value {
        let suspects = self.suspects().into_iter().map(|(ip, address)| {
            let entered: Vec<_> = address.entered.iter().map(|(user, _)| user).collect();
            json!({"address": ip, "failed_logins": address.failed, "users_tried": address.users,
                "users_entered": entered, "blocked_ports": address.blocked_ports})
        });
        let sudo = self.sudo.iter().take(ADDRESSES_MAX).collect::<Vec<_>>();
        json!({"suspects": suspects.collect::<Vec<_>>(), "sudo": sudo})
    }
}

/// User and address of a line such as `Failed password for [invalid user] NAME from IP port …`.
fn login(line: &str, mark: &str) -> Option<(String, String)> {
    let (_, rest) = line.split_once(mark)?;
    let (before, after) = rest.rsplit_once(" from ")?;
    let user = before.split_whitespace().next_back()?;
    let ip: std::net::IpAddr = after.split_whitespace().next()?.parse().ok()?;
    // An attacker chooses the name, and the name becomes part of a prompt.
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let plain = user.len() <= NAME_BYTES_MAX && user.chars().all(plain);
    Some((if plain { user } else { "(odd name)" }.to_owned(), ip.to_string()))
}

/// The value of `NAME=` in a line, up to the next blank.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(name)?;
    rest.split_whitespace().next()
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let file = arguments.next();
    let option = file.as_ref().is_some_and(|file| file.to_string_lossy().starts_with('-'));
    if let Some(argument) = file.as_ref().filter(|_| option).or(arguments.next().as_ref()) {
        let usage = "network_security [LOG_FILE]  (one file at most)";
        return common::other_argument(argument, "network_security", usage);
    }
    let log = match &file {
        None => Ok(SAMPLE.to_owned()),
        Some(path) => read(path).map_err(|error| format!("{}: {error}", path.to_string_lossy())),
    };
    let outcome = log.map_err(Into::into).and_then(|log| run(&log, file.is_none()));
    common::end("network_security", outcome)
}

fn read(path: &std::ffi::OsStr) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
    // Attackers choose the names that they try: not all of a log need be UTF-8.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn run(log: &str, sample: bool) -> Result<(), Box<dyn Error>> {
    let facts = Facts::read(log);
    let which = if sample { "a sample log" } else { "your log" };
    say!("Facts, computed from {} lines of {which}", facts.lines);
    for (ip, address) in facts.suspects() {
        let ports = address.blocked_ports.len();
        say!(
            "  {:<8} {ip:<15} {} failed logins, {ports} ports blocked{}",
            ["", "notice", "warning", "CRITICAL"][usize::from(address.severity())],
            address.failed,
            address.entered.first().map_or(String::new(), |(user, before)| {
                format!(", got in as {user} after {before} failures")
            })
        );
    }
    for (who, whom, what) in facts.sudo.iter().take(ADDRESSES_MAX) {
        say!("  command  {who} ran as {whom}: {what}");
    }
    let suspects = facts.suspects().len();
    say!("  {suspects} of {} addresses are suspect\n", facts.addresses.len());
    if suspects == 0 {
        return Ok(());
    }

    let answers = common::Answers::find(canned)?;
    answers.print_source("Answers");
    say!();
    if answers.is_canned() && !sample {
        say!("No findings: the canned ones fit the sample log only.");
        return Ok(());
    }
    let manager = AutomationAssistantManager::new(1);
    let helper = answers.spawn(&manager, |config| {
        config
            .name("security analyst")
            .system_prompt("You are a security analyst. Use only the facts given. Be brief.")
            .custom_param("max_tokens", 200)
    })?;
    let request = TaskRequest::new(
        "For each suspect address say what most likely happened and what to do first.",
    )
    .context("facts", facts.to_context());
    let task = manager.submit_task(helper, request)?;
    let task = common::wait(&manager, helper, task)?;
    if let Some(error) = task.error {
        return Err(format!("no findings: {error}").into());
    }
    say!("Findings, by {}", task.model.as_deref().unwrap_or("the helper"));
    let text = task.result.unwrap_or_default();
    say!("{}", common::indent(&format!("{}{text}", answers.mark())));
    Ok(())
}

fn canned(_model: &str, _prompt: &str) -> String {
    "1. 203.0.113.77 guessed the password of backup and got in, then read /etc/shadow: treat \
     the machine as broken into. Cut it off, end all sessions of backup, change every \
     password.\n\
     2. 198.51.100.9 looked for open ports and was kept out: block the address, nothing else.\n\
     3. Afterwards: allow keys only (PasswordAuthentication no), and take sudo from backup."
        .to_owned()
}
