//! The only child processes of the library are commands of Termux: they get no key of ours.
#![cfg(unix)]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use automation_assistant::DeviceReader;

use super::{KEY, PROMPT, search, search_debug};
use crate::support::this_program;
use crate::telemetry::Folder;

const COMMANDS: &str = "AA_TEST_TERMUX_COMMANDS";
/// A loaded machine may take long to start a shell.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "no test by itself: the child process of the one below"]
fn child() {
    let Ok(commands) = std::env::var(COMMANDS) else { return };
    assert_eq!(std::env::var("OPENAI_API_KEY").as_deref(), Ok(KEY));
    let reader =
        DeviceReader::new().root("/nowhere").termux(true).termux_path(commands).probe_limit(LIMIT);
    let battery = reader.battery();
    search_debug(&reader);
    search_debug(&battery);
    assert_eq!(battery.value().expect("the command answers").percent, 42);
}

#[test]
fn commands_of_termux_see_no_key_of_the_environment() {
    let folder = Folder::new("termux-env");
    let commands = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/device/termux/env");
    let home = folder.join("seen").parent().unwrap().to_owned();
    let variables = [
        "OPENAI_API_KEY",
        "OPIK_API_KEY",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT_ID",
        "OPIK_WORKSPACE",
        "HTTPS_PROXY",
        "MY_OWN_SECRET",
    ];
    let output = this_program()
        .args(["--exact", "secrets::children::child", "--nocapture", "--ignored"])
        .envs(variables.map(|name| (name, KEY)))
        .env("MY_PROMPT", PROMPT)
        .env(COMMANDS, commands)
        .env("HOME", home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
    let seen = std::fs::read_to_string(folder.join("seen")).unwrap();
    assert!(seen.contains("HOME="), "{seen}");
    search("a child's environment", &seen);
    for name in variables {
        assert!(!seen.contains(name), "{name} was handed on: {seen}");
    }
}
