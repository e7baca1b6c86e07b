//! Several helpers, the same questions, one table: right answers, times and tokens.
//!
//! `cargo run --release --example model_comparison`
//!
//! With a model server (`DEMO_LOCAL_ENDPOINT`) the same model runs at two temperatures; with
//! OpenAI or its like the models of `DEMO_MODELS` (`gpt-4o-mini,gpt-4o` if not set) are
//! compared. Without either, the models are canned. Grades and times are always measured.

#[macro_use]
mod common;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use automation_assistant::together::{Answer, Together, Want};
use automation_assistant::{
    AutomationAssistantManager, HelperConfig, HelperId, TaskRequest, create_local_helper,
};

/// Questions, and the text that a right answer contains (the question must not).
const QUESTIONS: [(&str, &str); 3] = [
    ("What is the capital of France? Answer with one word.", "Paris"),
    ("What is 17 + 25? Answer with the number only.", "42"),
    ("Which gas do plants take from the air? Answer in a few words.", "carbon dioxide"),
];
/// Most models that are compared.
const MODELS_MAX: usize = 6;
/// Most characters of an answer that are shown.
const SHOWN_CHARS: usize = 60;

/// One line of the table.
struct Row {
    helper: HelperId,
    name: String,
    canned: bool,
    right: usize,
    failed: usize,
    times_ms: Vec<f64>,
    tokens: Option<u64>,
}

fn main() -> ExitCode {
    common::main("model_comparison", run)
}

fn run() -> Result<(), Box<dyn Error>> {
    let manager = AutomationAssistantManager::new(MODELS_MAX + 1);
    let mut rows = Vec::new();
    let mut add = |name: &str, canned: bool, helper| {
        let (name, times_ms) = (name.to_owned(), Vec::new());
        rows.push(Row { helper, name, canned, right: 0, failed: 0, times_ms, tokens: None });
    };
    let real = models();
    let mut canned = Vec::new();
    if real.is_empty() {
        let large = common::Answers::canned(|_, prompt| canned_answer(prompt, "42"))?;
        let small = common::Answers::canned(|_, prompt| canned_answer(prompt, "17 + 25 is 32."))?;
        large.print_source("Answers");
        say!();
        canned = vec![("large model", large), ("small model", small)];
    } else {
        say!("Answers: from the models that the environment names.\n");
    }
    for (name, config) in real {
        add(&name, false, manager.spawn_helper(config.custom_param("max_tokens", 40))?);
    }
    for (name, answers) in &canned {
        add(name, true, answers.spawn(&manager, |config| config.name(*name))?);
    }
    add("embedded (echo)", false, create_local_helper(&manager, "embedded")?);

    let helpers: Vec<_> = rows.iter().map(|row| row.helper).collect();
    for (question, expected) in QUESTIONS {
        say!("> {question}");
        // All at the same time; a helper that fails or is slow delays no other.
        let together = Together::new(&manager).deadline(common::PATIENCE);
        let answers = together.fan_out(&helpers, &TaskRequest::new(question), Want::All)?;
        for (row, answer) in rows.iter_mut().zip(&answers) {
            let shown = row.take(answer, expected);
            say!("  {:<22} {shown}", row.name);
        }
        say!();
    }
    table(&rows);
    Ok(())
}

/// The real models that the environment offers, by name.
fn models() -> Vec<(String, HelperConfig)> {
    let mut models = Vec::new();
    if !cfg!(feature = "http") {
        return models;
    }
    if let Some((config, _)) = common::local_server() {
        for temperature in [0.0, 1.0] {
            let name = format!("local, temperature {temperature:.0}");
            models.push((name, config.clone().custom_param("temperature", temperature)));
        }
    }
    if let Some((config, _)) = common::openai() {
        let names = env::var("DEMO_MODELS").unwrap_or_else(|_| "gpt-4o-mini,gpt-4o".to_owned());
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            models.push((name.to_owned(), config.clone().model(name)));
        }
    }
    models.truncate(MODELS_MAX);
    models
}

impl Row {
    /// Adds an answer to the counts; returns the line to print.
    fn take(&mut self, answer: &Answer, expected: &str) -> String {
        let task = match &answer.outcome {
            Ok(task) => task,
            Err(error) => {
                self.failed += 1;
                return format!("not asked: {error}");
            }
        };
        let Some(text) = &task.result else {
            self.failed += 1;
            let kind = task.error.as_ref().map_or("failed", |error| error.kind().as_str());
            return format!("failed: {kind}");
        };
        let right = text.to_lowercase().contains(&expected.to_lowercase());
        self.right += usize::from(right);
        self.times_ms.push(task.latency_ms);
        if let Some(usage) = task.usage {
            *self.tokens.get_or_insert(0) += usage.completion_tokens;
        }
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut shown: String = flat.chars().take(SHOWN_CHARS).collect();
        if shown.len() < flat.len() {
            shown.push('…');
        }
        let mark = if self.canned { "[canned] " } else { "" };
        format!("{} {mark}{shown}", if right { "right" } else { "wrong" })
    }
}

fn table(rows: &[Row]) {
    say!(
        "{:<22} {:>6} {:>7} {:>9} {:>9} {:>7}",
        "",
        "right",
        "failed",
        "mean ms",
        "most ms",
        "tokens"
    );
    for row in rows {
        let count = row.times_ms.len();
        let (mut mean, mut most) = ("-".to_owned(), "-".to_owned());
        if count > 0 {
            mean = format!("{:.1}", row.times_ms.iter().sum::<f64>() / count as f64);
            most = format!("{:.1}", row.times_ms.iter().copied().fold(0.0, f64::max));
        }
        // Unreported is not zero.
        let tokens = row.tokens.map_or("-".to_owned(), |tokens| tokens.to_string());
        let right = format!("{}/{}", row.right, QUESTIONS.len());
        say!("{:<22} {right:>6} {:>7} {mean:>9} {most:>9} {tokens:>7}", row.name, row.failed);
    }
}

fn canned_answer(prompt: &str, sum: &str) -> String {
    match prompt {
        p if p.contains("France") => "Paris.",
        p if p.contains("17 + 25") => sum,
        _ => "Carbon dioxide.",
    }
    .to_owned()
}
