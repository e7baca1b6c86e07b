//! A model calls functions of the program: one of ours, and the library's device tools.
//!
//! `cargo run --release --example tools -- [--api chat|responses|anthropic] [--live]`
//!
//! A tool has a name, a description, a schema of its arguments and a body. The model decides
//! whether to call it; the program decides what it can do. A tool's result is computed here,
//! also with canned answers; it reads, and changes nothing.

#[macro_use]
mod common;

use std::error::Error;
use std::process::ExitCode;

use automation_assistant::device::device_tools;
use automation_assistant::{AutomationAssistantManager, FnTool, TaskRequest, Tool};
use serde_json::{Value, json};

/// Bounds the answer of small models; enough for one that reasons a little.
const ANSWER_TOKENS_MAX: u32 = 200;
/// The shelf that only this program knows: item and count.
const SHELF: [(&str, u32); 3] = [("aa_battery", 4), ("usb_c_cable", 0), ("sd_card", 1)];

fn main() -> ExitCode {
    common::main_by_api("tools", run)
}

/// A tool of this program's.
fn stock() -> impl Tool {
    let names = SHELF.map(|(name, _)| name);
    let parameters = json!({
        "type": "object",
        "properties": {"item": {"type": "string", "enum": names}},
        "required": ["item"],
        "additionalProperties": false,
    });
    FnTool::new("stock", "How many of an item are on the shelf.", parameters, |arguments| {
        // A model may leave out or invent arguments; the error states the valid ones.
        let item = arguments["item"].as_str().unwrap_or_default();
        let found = SHELF.iter().find(|(name, _)| *name == item);
        let names = SHELF.map(|(name, _)| name).join(", ");
        let (_, count) = found.ok_or_else(|| format!("no such item; there are: {names}"))?;
        let result = json!({"item": item, "count": count}).to_string();
        say!("  -> the model calls stock({arguments}) and gets {result}");
        Ok(result)
    })
}

/// One of the library's tools, with a line on the screen when it is called.
fn device(name: &str) -> Option<impl Tool + use<>> {
    let tool = device_tools().into_iter().find(|tool| tool.name() == name)?;
    let (name, description) = (tool.name().to_owned(), tool.description().to_owned());
    let parameters = tool.parameters();
    Some(FnTool::new(name.clone(), description, parameters, move |arguments: &Value| {
        let result = tool.call(arguments);
        say!("  -> the model calls {name}() and gets {}", result.as_ref().unwrap_or_else(|e| e));
        result
    }))
}

fn run(choice: &common::Choice) -> Result<(), Box<dyn Error>> {
    if !cfg!(feature = "http") {
        return without_model();
    }
    let answers = choice.answers(canned)?;
    answers.print_source("Answers");
    say!();
    let manager = AutomationAssistantManager::new(1);
    let helper = answers.spawn(&manager, |config| {
        config.name("storekeeper").max_output_tokens(ANSWER_TOKENS_MAX)
    })?;
    let mut stories = vec![TaskRequest::new("How many AA batteries are left?").tool(stock())];
    stories.extend(device("device_memory").map(|tool| {
        TaskRequest::new("How much memory does this device have available?").tool(tool)
    }));
    for request in stories {
        say!("> {}", request.prompt());
        let task = manager.submit_task(helper, request)?;
        let task = common::wait(&manager, helper, task)?;
        if let Some(error) = task.error {
            return Err(format!("no answer: {error}").into());
        }
        let text = task.result.unwrap_or_default();
        say!("{}", common::indent(&format!("{}{text}", answers.mark())));
        say!("  ({} calls of the model)\n", task.attempts);
    }
    Ok(())
}

/// Without a model the tools are called directly.
fn without_model() -> Result<(), Box<dyn Error>> {
    say!("This build lacks the cargo feature \"http\", so no model can call the tools.");
    say!("Called by the program itself, they say:\n");
    say!("{}\n", stock().call(&json!({"item": SHELF[0].0}))?);
    for tool in device_tools() {
        let result = tool.call(&json!({})).unwrap_or_else(|why| format!("unavailable: {why}"));
        say!("{}\n{}", tool.name(), common::indent(&result));
    }
    Ok(())
}

/// The stand-in calls the tool once; this is its answer to the result.
fn canned(_model: &str, tool_result: &str) -> String {
    format!("The tool returned: {tool_result}")
}
