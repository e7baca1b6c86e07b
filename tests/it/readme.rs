//! README's printed output is its program's output; what a reader copies will last.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest};

const README: &str = include_str!("../../README.md");
const LIB: &str = include_str!("../../src/lib.rs");

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

/// The root's hidden names, which are removed in 0.3.
fn hidden_names() -> BTreeSet<&'static str> {
    let lists = LIB.split("#[doc(hidden)]\npub use ").skip(1);
    let names = lists.flat_map(|list| {
        let list = list.split_once('{').unwrap().1.split_once('}').unwrap().0;
        list.split(',').map(str::trim).filter(|name| !name.is_empty())
    });
    names.collect()
}

/// The names that a text uses from the root, as `automation_assistant::name` and
/// `automation_assistant::{name, …}`.
fn root_names(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in text.split("automation_assistant::").skip(1) {
        let mut depth = 0;
        let list_end = rest.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        let list = if rest.starts_with('{') { &rest[1..list_end.unwrap_or(1)] } else { rest };
        let mut depth = 0;
        let at_root = list.split_inclusive(['{', '}', ',', ';', '(']).filter(|part| {
            let is_root = depth == 0;
            depth += i32::from(part.ends_with('{')) - i32::from(part.ends_with('}'));
            is_root
        });
        let names = at_root.map(|part| {
            let part = part.trim_start_matches(['/', '!', ' ', '\n']);
            &part[..part.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(part.len())]
        });
        let names = names.filter(|name| !name.is_empty());
        found.extend(names.take(if rest.starts_with('{') { usize::MAX } else { 1 }));
    }
    found
}

#[test]
fn what_a_reader_copies_uses_no_name_that_goes_in_0_3() {
    let hidden = hidden_names();
    assert!(hidden.contains("Together") && hidden.len() > 80, "{hidden:?}");
    assert_eq!(
        root_names("use automation_assistant::{A, b::{C, D}, E};\nautomation_assistant::F::new()"),
        ["A", "b", "E", "F"]
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = vec![("README.md".to_owned(), README.to_owned())];
    for folder in ["examples", "src"] {
        for (path, text) in rust_files(&root.join(folder)) {
            let is_doc = |line: &&str| line.trim_start().starts_with("//");
            let docs = || text.lines().filter(is_doc).map(str::trim).collect::<Vec<_>>().join("\n");
            texts.push((path, if folder == "src" { docs() } else { text }));
        }
    }
    for (path, text) in &texts {
        let used = root_names(text).into_iter().filter(|name| hidden.contains(name));
        assert_eq!(used.collect::<Vec<_>>(), [""; 0], "{path}: name them by their modules");
    }
}

fn rust_files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| match path.is_dir() {
        true => rust_files(&path),
        false => vec![(path.display().to_string(), fs::read_to_string(&path).unwrap_or_default())],
    });
    files.collect()
}
