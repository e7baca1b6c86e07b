//! Where Opik is set up outside the program: in the environment, and in the user's file. Each
//! case is a process of its own, for the environment is the process's.

use std::fs;
use std::process::Stdio;

use automation_assistant::{
    AutomationAssistantManager, HelperConfig, OpikConfig, TaskRequest, TraceMode,
};

use super::stand_in::{Opik, Say, TAKEN};
use super::{flush, run};
use crate::support::{LONG, this_program};
use crate::telemetry::Folder;

const CHILD: &str = "AA_TEST_CONFIGURED";

#[test]
#[ignore = "no test by itself: the child process of the one beside it"]
fn child() {
    let Ok(case) = std::env::var(CHILD) else { return };
    let Some(config) = OpikConfig::found().unwrap() else {
        assert_eq!(case, "nowhere");
        return;
    };
    let config = if case == "said" { config.project("said") } else { config };
    let manager = AutomationAssistantManager::builder().opik(config).build().unwrap();
    // The gateway is found the same way.
    let helper = HelperConfig::comet().model("m").trace(TraceMode::Metadata).max_retries(0);
    let helper = manager.spawn_helper(helper).unwrap();
    assert!(run(&manager, helper, TaskRequest::new("x")).is_success());
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
}

fn run_child(case: &str, home: &Folder, set: &[(&str, &str)]) {
    let mut command = this_program();
    command.args(["--exact", "opik::configured::child", "--nocapture", "--ignored"]);
    for name in ["OPIK_URL_OVERRIDE", "OPIK_API_KEY", "OPIK_WORKSPACE", "OPIK_PROJECT_NAME"] {
        command.env_remove(name);
    }
    command.env("HOME", home.join("")).env("USERPROFILE", home.join("")).env(CHILD, case);
    let output = command.envs(set.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{case}: {text}");
}

#[test]
fn opik_is_found_in_the_official_order() {
    let chat = r#"{"choices":[{"message":{"content":"hello"}}]}"#;
    let server = Opik::start(move |_, asked| match asked.is("chat") {
        true => Say::Json(chat.into(), ""),
        false => TAKEN,
    });
    let home = Folder::new("opik-home");
    run_child("nowhere", &home, &[]);
    assert!(server.asked().is_empty());
    let file = format!(
        "[opik]\nurl_override = {}/\napi_key = file-key\nworkspace = file-space\n\
         project_name = file-project\n",
        server.url()
    );
    fs::write(home.join(".opik.config"), file).unwrap();
    run_child("file", &home, &[]);
    run_child("environment", &home, &[("OPIK_API_KEY", "env-key"), ("OPIK_PROJECT_NAME", "env")]);
    run_child("said", &home, &[("OPIK_PROJECT_NAME", "env")]);
    let asked = server.asked();
    assert_eq!(asked.len(), 9, "a generation, a trace and a span each");
    for (three, key) in asked.chunks(3).zip(["file-key", "env-key", "file-key"]) {
        for one in three {
            assert_eq!(one.header("authorization"), Some(key), "{}", one.line);
            assert_eq!(one.header("comet-workspace"), Some("file-space"));
        }
    }
    let projects: Vec<_> =
        server.items("traces").iter().map(|trace| trace["project_name"].clone()).collect();
    assert_eq!(projects, ["file-project", "env", "said"]);
}
