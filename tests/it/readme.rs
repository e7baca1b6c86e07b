//! README's printed output is its program's output.

use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest};

const README: &str = include_str!("../../README.md");

#[test]
fn the_first_program_prints_what_stands_below_it() {
    let (program, rest) = README.split_once("```rust\n").unwrap().1.split_once("```").unwrap();
    let output = rest.split_once("```text\n").unwrap().1.split_once("```").unwrap().0;
    let (prompt, request) = ("Summarise my day.", ".context(\"meetings\", 3)");
    assert!(program.contains(&format!("TaskRequest::new(\"{prompt}\"){request}")), "{program}");
    let manager = AutomationAssistantManager::new(5);
    let helper = manager.spawn(HelperConfig::local().name("notes")).unwrap();
    let task = helper.ask(TaskRequest::new(prompt).context("meetings", 3)).unwrap();
    assert_eq!(format!("{}\n", task.result.unwrap()), output);
}
