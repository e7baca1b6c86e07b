//! A list of notifications in, a ranked summary out.
//!
//! `cargo run --release --example smart_notifications`
//!
//! The program groups what belongs together, counts, and scores each group by plain rules;
//! advertising goes to the end. The helper then may reorder, and sums up. Its answer is JSON
//! that is checked: no omission, invention or repetition in it loses a notification.

#[macro_use]
mod common;

use std::error::Error;
use std::process::ExitCode;

use automation_assistant::{AutomationAssistantManager, Task, TaskRequest};
use serde_json::{Value, json};

/// App, sender, text: as a phone reports them.
const NOTIFICATIONS: [(&str, &str, &str); 10] = [
    ("Shop", "Deals", "50 % off everything, today only!"),
    ("Messages", "Mum", "Are you coming on Sunday?"),
    ("Bank", "Security", "New sign-in from an unknown device. Was it you?"),
    ("Chat", "Climbing group", "Who brings the rope?"),
    ("Messages", "Mum", "Please call me, it is about grandpa"),
    ("Chat", "Climbing group", "I have two"),
    ("Calendar", "Dentist", "Appointment in 40 minutes"),
    ("Shop", "Deals", "Your basket misses you"),
    ("Phone", "Mum", "Missed call"),
    ("Chat", "Climbing group", "See you at six"),
];

/// Words and what they add to a group's score; the strongest one counts.
const RULES: [(&str, i32); 6] = [
    ("sign-in", 90),
    ("call me", 80),
    ("in 40 minutes", 70),
    ("missed call", 60),
    ("?", 20),
    ("% off", -50),
];
/// Most characters of a text that are shown.
const SHOWN_CHARS: usize = 48;

/// The notifications of one sender through one app.
struct Group {
    app: &'static str,
    sender: &'static str,
    texts: Vec<&'static str>,
}

impl Group {
    /// How much it matters, by the rules.
    fn score(&self) -> i32 {
        let score = |text: &str| {
            let text = text.to_lowercase();
            let hits = RULES.iter().filter(|(word, _)| text.contains(word));
            hits.map(|(_, points)| *points).max_by_key(|points| points.abs()).unwrap_or(0)
        };
        self.texts.iter().map(|text| score(text)).max_by_key(|score| score.abs()).unwrap_or(0)
    }
}

/// Groups in the order of their scores; equal ones stay in the order of arrival.
fn grouped() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (app, sender, text) in NOTIFICATIONS {
        match groups.iter_mut().find(|group| group.app == app && group.sender == sender) {
            Some(group) => group.texts.push(text),
            None => groups.push(Group { app, sender, texts: vec![text] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.score()));
    groups
}

fn main() -> ExitCode {
    common::main("smart_notifications", run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let groups = grouped();
    say!("{} notifications in {} groups, scored by rules", NOTIFICATIONS.len(), groups.len());
    for (at, group) in groups.iter().enumerate() {
        say!("  {}  {:>4}  {}", at + 1, group.score(), line(group));
    }

    let answers = common::Answers::find(canned)?;
    say!();
    answers.print_source("Answers");
    say!();
    let manager = AutomationAssistantManager::new(1);
    let helper = answers.spawn(&manager, |config| {
        config.name("secretary").custom_param("max_tokens", 200).custom_param("temperature", 0)
    })?;
    let task = manager.submit_task(helper, request(&groups))?;
    let task = common::wait(&manager, helper, task)?;
    let (order, summary) = match read(&task, groups.len()) {
        Ok(read) => read,
        Err(why) => {
            say!("The helper's answer is of no use ({why}): the rules' order stands.");
            ((0..groups.len()).collect(), String::new())
        }
    };
    say!("Ranked");
    for (rank, at) in order.iter().enumerate() {
        say!("  {}. {}", rank + 1, line(&groups[*at]));
    }
    if !summary.is_empty() {
        say!("\nIn short\n{}", common::indent(&format!("{}{summary}", answers.mark())));
    }
    Ok(())
}

fn line(group: &Group) -> String {
    let last = group.texts.last().copied().unwrap_or_default();
    let mut shown: String = last.chars().take(SHOWN_CHARS).collect();
    if shown.len() < last.len() {
        shown.push('…');
    }
    let count = group.texts.len();
    let times = if count > 1 { format!(" ({count})") } else { String::new() };
    format!("{}, {}{times}: {shown}", group.app, group.sender)
}

/// Asks for numbers of groups in order, and a sentence.
fn request(groups: &[Group]) -> TaskRequest {
    let numbers: Vec<_> = (1..=groups.len()).collect();
    let list = groups.iter().enumerate().map(|(at, group)| {
        json!({"number": at + 1, "app": group.app, "from": group.sender, "texts": group.texts})
    });
    let schema = json!({
        "type": "object",
        "properties": {
            "order": {
                "type": "array",
                "items": {"type": "integer", "enum": numbers},
                "minItems": 1,
                "maxItems": numbers.len(),
            },
            "summary": {"type": "string"},
        },
        "required": ["order", "summary"],
        "additionalProperties": false,
    });
    let prompt = "Rank these notifications, the most urgent first: give the numbers in order, \
                  and one sentence that sums up what the user has to do.";
    TaskRequest::new(prompt)
        .context("notifications", list.collect::<Vec<_>>())
        .reply_schema("ranking", schema)
}

/// The helper's order (completed by the rules' order) and its sentence.
fn read(task: &Task, count: usize) -> Result<(Vec<usize>, String), Box<dyn Error>> {
    let answer: Value = task.parse_result()?;
    let numbers = answer["order"].as_array().ok_or("no order in it")?;
    let mut order: Vec<usize> = Vec::new();
    let from_model = numbers
        .iter()
        .filter_map(Value::as_u64)
        .filter_map(|number| usize::try_from(number).ok()?.checked_sub(1).filter(|at| *at < count));
    for at in from_model.chain(0..count) {
        if !order.contains(&at) {
            order.push(at);
        }
    }
    let summary = answer["summary"].as_str().unwrap_or_default();
    Ok((order, summary.to_owned()))
}

/// An order other than the rules', so that its effect shows.
fn canned(_model: &str, _prompt: &str) -> String {
    json!({
        "order": [2, 1, 3],
        "summary": "Call Mum back about grandpa, deny the unknown sign-in at the bank, and \
                    leave for the dentist within half an hour.",
    })
    .to_string()
}
