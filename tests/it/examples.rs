//! The example programs, run as a user would: offline, in an empty folder, without a key.
//! Their output, their files, and their exit codes.
//!
//! `cargo test` builds them; with `--test it` alone, run `cargo build --examples` first.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;

use crate::support::{command, side_by_side};

mod api;
mod debrief;
mod doctor;
mod look;

/// Each story takes seconds; under emulation ten times that. Then it is killed.
const LIMIT: Duration = Duration::from_secs(90);

/// Variables that would change what a program does, by how they begin.
const NOT_OURS: [&str; 6] = ["ANTHROPIC_", "OPENAI_", "OPIK_", "DEMO_", "SSL_CERT_", "TERMUX_"];

/// An empty folder of one test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (count, process) = (COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
        let path = std::env::temp_dir().join(format!("aa-example-{name}-{process}-{count}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The files in it, as paths from it.
    fn files(&self) -> BTreeSet<String> {
        fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(&self.0, &self.0, &mut found);
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a program ended.
struct Run {
    name: String,
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn ends_well(self) -> Self {
        assert_eq!(self.code, Some(0), "{}: {}\n{}", self.name, self.err, self.out);
        self
    }

    #[track_caller]
    fn says(self, line: &str) -> Self {
        assert!(self.out.contains(line), "{} does not say {line:?}:\n{}", self.name, self.out);
        self
    }

    /// The same, however the words are spread over lines.
    #[track_caller]
    fn says_in_words(self, text: &str) -> Self {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said = words(&self.out);
        assert!(said.contains(&words(text)), "{} does not say {text:?}:\n{}", self.name, self.out);
        self
    }

    #[track_caller]
    fn never_says(self, text: &str) -> Self {
        assert!(!self.out.contains(text), "{} says {text:?}:\n{}", self.name, self.out);
        self
    }
}

/// The built example; this test binary lies in `deps` beside `examples`.
fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let profile = here.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{name} is not built: run `cargo build --examples` first");
    path
}

/// Runs an example in this folder, for a bounded time.
fn run_in(folder: &Folder, name: &str, arguments: &[&str]) -> Run {
    run_with(folder, name, arguments, &[])
}

/// The same, with these variables in its environment.
fn run_with(folder: &Folder, name: &str, arguments: &[&str], set: &[(&str, &str)]) -> Run {
    watch(name, start(folder, name, arguments, set))
}

fn start(folder: &Folder, name: &str, arguments: &[&str], set: &[(&str, &str)]) -> Child {
    crate::support::loopback::require();
    let mut command = command(program(name));
    command.args(arguments).current_dir(&folder.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy().into_owned();
        if NOT_OURS.iter().any(|start| text.starts_with(start)) {
            command.env_remove(variable);
        }
    }
    // Nothing may go through a proxy: all that is spoken to is on loopback.
    command.env("http_proxy", "http://127.0.0.1:9").env("HTTP_PROXY", "http://127.0.0.1:9");
    command.envs(set.iter().copied());
    command.spawn().unwrap()
}

/// Reads what a program says until it ends, or kills it when its time is up.
fn watch(name: &str, mut child: Child) -> Run {
    let (send, ended) = channel();
    let mut readers = Vec::new();
    let out = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let pipes = [out.unwrap_or(Box::new(io::empty())), Box::new(child.stderr.take().unwrap())];
    for mut pipe in pipes {
        let send = send.clone();
        readers.push(std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = pipe.read_to_end(&mut bytes);
            let _ = send.send(());
            read.unwrap();
            String::from_utf8(bytes).unwrap()
        }));
    }
    // Both pipes end with the program.
    let in_time = (0..2).all(|_| ended.recv_timeout(LIMIT).is_ok());
    if !in_time {
        child.kill().unwrap();
    }
    let code = child.wait().unwrap().code();
    let texts: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let [out, err] = texts.try_into().unwrap();
    assert!(in_time, "{name} did not end within {LIMIT:?}; it said\n{out}\n{err}");
    Run { name: name.to_owned(), code, out, err }
}

/// Runs a program that leaves no file behind.
fn run(name: &str, arguments: &[&str]) -> Run {
    let folder = Folder::new(name);
    let run = run_in(&folder, name, arguments);
    assert_eq!(folder.files(), BTreeSet::new(), "{name} leaves files");
    run
}

#[test]
fn quick_start_answers() {
    run("quick_start", &[]).ends_well().says("Local Response: Echo of 'Hello from this device'");
}

/// `demo | head`: nobody reads on, and that is no failure.
#[test]
fn a_reader_that_goes_away_breaks_no_program() {
    for name in ["demo", "pipeline", "tools", "device_health"] {
        let folder = Folder::new(name);
        let mut child = start(&folder, name, &[], &[]);
        drop(child.stdout.take());
        let run = watch(name, child);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{name}");
    }
}

#[test]
fn the_demo_and_its_debrief() {
    let folder = Folder::new("demo-debrief");
    let demo = run_in(&folder, "demo", &["--debrief"]).ends_well();
    let demo = demo
        .says("== 1. Three backends")
        .says("== 2. One backend, several models")
        .says("== 3. Set up for this device")
        .says("Echo of 'Chore 5'")
        .says("Overall Health: 🟢 OK")
        .says("Total Runs: 1")
        .says("Errors: 0")
        .says("Failure Rate: 0.00%")
        .says("Per-Backend Stats:")
        .says("Local (local-mock)");
    if cfg!(feature = "http") {
        demo.says("[canned] gpt-4o would now answer").says("ChatGPT (gpt-4o-mini)");
    } else {
        demo.says("left out").says("feature \"http\"");
    }
    let (audit, report) = ("src/memory/audit.jsonl", "docs/debrief/latest.md");
    assert_eq!(folder.files(), BTreeSet::from([audit.to_owned(), report.to_owned()]));
    let markdown = fs::read_to_string(folder.0.join(report)).unwrap();
    assert!(markdown.starts_with("# Automation Assistant Telemetry Debrief"));
    assert!(markdown.contains("**Total Runs:** 1"));

    // A second run is added to the first; the reader sees both.
    run_in(&folder, "demo", &[]).ends_well().never_says("Overall Health");
    run_in(&folder, "debrief", &[]).ends_well().says("Overall Health: 🟢 OK").says("Total Runs: 2");
    let json = run_in(&folder, "debrief", &["--json", "--out", "here.md"]).ends_well();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["total_runs"], 2);
    assert_eq!(json["error_count"], 0);
    assert!(folder.files().contains("here.md"));
}

#[test]
fn debrief_says_how_to_get_an_audit_file() {
    let run = run("debrief", &[]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("there is no audit file"), "{}", run.err);
    assert!(run.err.contains("--example demo"), "{}", run.err);
}

#[test]
fn device_health_prints_readings_and_advice() {
    let run_text = run("device_health", &[]).ends_well();
    run_text.says("Device\n").says("Profile\n").says("Cloud tasks\n").says("Advice\n");
    let json = run("device_health", &["--json"]).ends_well();
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["device"].is_object() && json["profile"].is_string(), "{json}");
}

/// A `PATH` with recorded commands of Termux:API before all others.
#[cfg(unix)]
fn path_with(commands: &str) -> String {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/device/termux");
    let rest = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    format!("{}:{rest}", recorded.join(commands).display())
}

/// Whether this machine's files report a battery; then nothing else is asked.
#[cfg(unix)]
fn has_battery() -> bool {
    let has_battery = automation_assistant::DeviceReader::new().battery().is_value();
    if has_battery {
        println!("left out: this machine's files report its battery");
    }
    has_battery
}

#[cfg(unix)]
#[test]
fn on_a_phone_the_option_is_named_and_works() {
    if has_battery() {
        return;
    }
    let folder = Folder::new("phone");
    let path = path_with("good");
    let set = [("TERMUX_VERSION", "0.118"), ("PREFIX", ""), ("PATH", path.as_str())];
    for name in ["device_health", "device_maintenance"] {
        run_with(&folder, name, &[], &set)
            .ends_well()
            .says_in_words("run with --termux to ask Termux:API")
            .never_says("DeviceReader");
    }
    run_with(&folder, "device_maintenance", &["--termux"], &set)
        .ends_well()
        .says("  battery  ok       64 % charged");
    run_with(&folder, "device_health", &["--termux"], &set)
        .ends_well()
        .says("  Battery      64 %, at the charger, 31.5 °C")
        .says("--wifi asks Termux:API")
        .never_says("DeviceReader");
    run_with(&folder, "device_health", &["--wifi"], &set)
        .ends_well()
        .says("  Wi-Fi        connected, signal -55 dBm");
}

#[cfg(unix)]
#[test]
fn a_termux_command_that_hangs_is_reported_once_with_advice() {
    if has_battery() {
        return;
    }
    let folder = Folder::new("hang");
    let path = path_with("hangs");
    let set = [("TERMUX_VERSION", "0.118"), ("PREFIX", ""), ("PATH", path.as_str())];
    let run = run_with(&folder, "device_health", &["--termux"], &set).ends_well();
    assert_eq!(run.out.matches("no answer within 2 s").count(), 1, "{}", run.out);
    run.says_in_words("install Termux:API from where Termux came from, and open it once");
}

/// A model server that gives one answer, whatever it is asked; then its port is closed.
#[cfg(feature = "http")]
fn one_answer(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    use std::io::Write;
    let listener = crate::support::loopback::listen();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut asked = Vec::new();
        let mut byte = [0];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            asked.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, thread)
}

#[test]
fn network_security_computes_its_facts() {
    run("network_security", &[])
        .ends_well()
        .says("Facts, computed from 17 lines of a sample log")
        .says("CRITICAL 203.0.113.77    6 failed logins")
        .says("got in as backup after 6 failures")
        .says("notice   198.51.100.9    0 failed logins, 5 ports blocked")
        .says("2 of 3 addresses are suspect")
        .says("[canned] 1. 203.0.113.77");
}

#[test]
fn network_security_reads_any_file_and_never_passes_canned_findings_off() {
    let folder = Folder::new("network-log");
    let failed = "sshd[1]: Failed password for invalid user \u{1b}[31m from 192.0.2.5 port 1 ssh2";
    let mut log = format!("{failed}\n").repeat(5).into_bytes();
    log.extend(b"\xff\xfe SRC= DPT= \n sudo: \nFailed password for  from \nSRC=x DPT=99999\n");
    fs::write(folder.0.join("odd.log"), log).unwrap();
    run_in(&folder, "network_security", &["odd.log"])
        .ends_well()
        .says("of your log")
        .says("notice   192.0.2.5       5 failed logins")
        .says("No findings: the canned ones fit the sample log only.")
        .never_says("\u{1b}")
        .never_says("[canned]");
    let missing = run_in(&folder, "network_security", &["missing.log"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("missing.log"), "{}", missing.err);
}

#[test]
fn model_comparison_grades_the_answers() {
    run("model_comparison", &[])
        .ends_well()
        .says("small model            wrong [canned] 17 + 25 is 32.")
        .says("large model               3/3       0")
        .says("small model               2/3       0")
        .says("embedded (echo)           0/3       0");
}

#[test]
fn device_maintenance_measures_this_device() {
    let run = run("device_maintenance", &[]).ends_well();
    run.says("Measured on this device").says("  load  ").says("Advice, by").says("[canned] ");
}

#[test]
fn hybrid_answers_offline_and_finds_the_cloud_again() {
    let run = run("hybrid", &[]).ends_well();
    let run = run
        .says("1. The network is cut off\n  cloud   cannot be reached (")
        .says("  device  answers (")
        .says("2. The same question again\n  cloud   ")
        .says("Local Response: Echo of 'Give one tip")
        .says_in_words("from the embedded engine, which only echoes; ");
    let run = match cfg!(feature = "http") {
        true => run.says_in_words("DEMO_LOCAL_ENDPOINT names a model server."),
        false => run.says_in_words("a model server needs the cargo feature \"http\"."),
    };
    let (offline, online) = run.out.split_once("3. The network is back").unwrap();
    assert!(!offline.contains("[canned]"), "the cloud answers offline:\n{offline}");
    assert!(online.contains("cloud   answers ("), "the cloud stays away:\n{online}");
    assert!(online.contains("[canned] Lower the screen"), "{online}");
    // The stand-in for the cloud is no server on this device: its text does not name that variable.
    let (cloud, _) = run.out.split_once("This device's answers").unwrap();
    assert!(cloud.contains("OPENAI_API_KEY") && !cloud.contains("LOCAL"), "{cloud}");
}

#[cfg(feature = "http")]
#[test]
fn hybrid_suggests_nothing_that_is_set() {
    let folder = Folder::new("hybrid-local");
    let answer = "HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (url, server) = one_answer(answer);
    let set = [("DEMO_LOCAL_ENDPOINT", url.as_str())];
    run_with(&folder, "hybrid", &[], &set)
        .says("This device's answers: from the model server on this device.")
        .says("  device  ")
        .never_says("DEMO_LOCAL_ENDPOINT");
    server.join().unwrap();
}

#[test]
fn smart_notifications_loses_none() {
    let run = run("smart_notifications", &[]).ends_well();
    run.says("10 notifications in 6 groups")
        .says("  1    90  Bank, Security")
        // The helper named three of six; the others follow by the rules.
        .says("Ranked\n  1. Messages, Mum (2)")
        .says("  2. Bank, Security")
        .says("  6. Shop, Deals (2)")
        .says("In short\n  [canned] Call Mum back");
}

#[test]
fn pipeline_keeps_private_numbers_from_the_models() {
    let run = run("pipeline", &[]).ends_well();
    let run = run.says("1. redactor").says("3. writer").says("bytes of the stage before");
    let (_, stages) = run.out.split_once("1. redactor").unwrap();
    let (redacted, after) = stages.split_once("2. analyst").unwrap();
    let words = redacted.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("call [number] or write to [e-mail], my"), "{words}");
    assert!(!redacted.contains("555") && !redacted.contains("j.doe") && !redacted.contains("4401"));
    assert_eq!(after.matches("[canned]").count(), 2);
}

#[test]
fn custom_backend_cancels_and_keeps_deadlines() {
    run("custom_backend", &[])
        .ends_well()
        .says("360 = 2 * 2 * 2 * 3 * 3 * 5")
        .says("600851475143 = 71 * 839 * 1471 * 6857")
        .says("invalid_request: the prompt is no number below 2^64")
        .says("first factor of 6917529027641081853: 3\n  cancelled while it ran: true")
        .says("  cancelled: ")
        .says("  timeout: ")
        .says("1001 = 7 * 11 * 13")
        .says("factoriser (Factoriser): idle, 6 tasks done, 3 of them failed or cancelled")
        .never_says("[canned]");
}

#[test]
fn streaming_prints_deltas_and_stops_in_mid_sentence() {
    let run = run("streaming", &[]).ends_well();
    run.says("[canned] Flash storage writes to empty blocks")
        .says("49 deltas; the first after")
        .says("  [canned] Flash storage writes to empty …\n  cancelled: ");
}

#[test]
fn tools_are_called_by_the_model() {
    let run = run("tools", &[]).ends_well();
    if cfg!(feature = "http") {
        run.says("the model calls stock({\"item\":\"aa_battery\"}) and gets {\"count\":4")
            .says_in_words("[canned] The tool returned: {\"count\":4")
            .says("the model calls device_memory()")
            .says("(2 calls of the model)");
    } else {
        run.says("lacks the cargo feature \"http\"")
            .says("{\"count\":4,\"item\":\"aa_battery\"}")
            .says("device_memory");
    }
}

/// Programs that answer an unknown argument with their usage.
const STRICT: [&str; 11] = [
    "custom_backend",
    "demo",
    "device_maintenance",
    "hybrid",
    "look",
    "model_comparison",
    "network_security",
    "pipeline",
    "smart_notifications",
    "streaming",
    "tools",
];

#[test]
fn unknown_arguments_are_refused_with_usage() {
    for name in STRICT {
        let run = run(name, &["--frobnicate"]);
        assert_eq!(run.code, Some(2), "{name}: {}", run.err);
        assert!(run.err.contains("usage: "), "{name}: {}", run.err);
        assert_eq!(run.out, "", "{name}");
    }
}

#[test]
fn help_is_no_failure() {
    for name in STRICT.into_iter().chain(["debrief", "device_health", "doctor"]) {
        for argument in ["--help", "-h"] {
            let run = run(name, &[argument]).ends_well().says(&format!("usage: {name}"));
            assert_eq!(run.err, "", "{name}");
        }
    }
}

/// Numbers are the machine's; all else in the index is what the program prints.
#[test]
fn the_index_shows_what_programs_print() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let shape = |text: &str| {
        let mut shape = String::new();
        for c in text.chars() {
            match c {
                '0'..='9' | '.' if shape.ends_with('#') => {}
                '0'..='9' => shape.push('#'),
                c => shape.push(c),
            }
        }
        shape.replace("#ms", "#").replace("#µs", "#").replace("# s", "# ms")
    };
    let runs: [(&str, &[&str]); 8] = [
        ("quick_start", &[]),
        ("doctor", &["--offline"]),
        ("network_security", &[]),
        ("smart_notifications", &[]),
        ("pipeline", &[]),
        ("hybrid", &[]),
        ("tools", &[]),
        ("custom_backend", &[]),
    ];
    side_by_side(runs, |(name, arguments)| {
        if name == "tools" && !cfg!(feature = "http") {
            return;
        }
        let (_, after) = index.split_once(&format!("--example {name}")).unwrap();
        let (_, sample) = after.split_once("```text\n").unwrap();
        let (sample, _) = sample.split_once("```").unwrap();
        let run = run(name, arguments).ends_well();
        let out = shape(&run.out);
        // Whether a pause is over is the machine's too.
        for line in sample.lines().filter(|line| !line.contains("left out for")) {
            assert!(out.contains(&shape(line)), "{name} does not print {line:?}:\n{}", run.out);
        }
    });
}

#[test]
fn the_index_names_every_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(index.contains(&format!("--example {name}")), "{name} is not in the index");
            count += 1;
        }
    }
    assert!(count >= 14, "only {count} examples were found");
}
