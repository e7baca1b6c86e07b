//! A chat with a model inside this program, without any network.
//!
//! `offline_chat [MODEL.gguf] ["PROMPT"] [--temperature T]`: prints the answer alone and ends;
//! without a prompt it goes on asking. Ctrl-C stops an answer, Ctrl-D ends the program. The
//! model may also be named by `GGUF_MODEL`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, HelperId, TaskId, TaskRequest, Turn,
};
use automation_assistant_gguf::create_gguf_helper;

/// Longer than any answer takes: the task's own time ends it first.
const WAIT: Duration = Duration::from_secs(3600);
/// In tokens: a small model may not find an end by itself.
const LONGEST_ANSWER: u32 = 512;
const USAGE: &str = "usage: offline_chat [MODEL.gguf] [\"PROMPT\"] [--temperature T]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("offline_chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::of_process()?;
    let manager = Arc::new(AutomationAssistantManager::new(1));
    let helper = create_gguf_helper(&manager, "chat", &arguments.model)?;
    let chat = Chat {
        manager,
        helper,
        temperature: arguments.temperature,
        running: Arc::default(),
        turns: Vec::new(),
    };
    match arguments.prompt {
        Some(prompt) => chat.answer(&prompt).map(drop),
        None => chat.read_lines(),
    }
}

struct Arguments {
    model: String,
    prompt: Option<String>,
    temperature: f64,
}

impl Arguments {
    fn of_process() -> Result<Self, Box<dyn Error>> {
        let mut texts = Vec::new();
        let mut temperature = 0.0;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--temperature" => temperature = arguments.next().ok_or(USAGE)?.parse()?,
                flag if flag.starts_with("--") => return Err(USAGE.into()),
                _ => texts.push(argument),
            }
        }
        let mut texts = texts.into_iter();
        // With GGUF_MODEL set, the first text may be the prompt already.
        let named = texts.as_slice().first().is_some_and(|text| text.ends_with(".gguf"));
        let variable = std::env::var("GGUF_MODEL").ok().filter(|_| !named);
        let model = variable.or_else(|| texts.next()).ok_or(USAGE)?;
        let prompt = texts.next();
        match texts.next() {
            None => Ok(Self { model, prompt, temperature }),
            Some(_) => Err(USAGE.into()),
        }
    }
}

struct Chat {
    manager: Arc<AutomationAssistantManager>,
    helper: HelperId,
    temperature: f64,
    /// The task whose answer is being written.
    running: Arc<Mutex<Option<TaskId>>>,
    turns: Vec<Turn>,
}

impl Chat {
    /// Asks, prints the answer as it comes, and gives it back.
    fn answer(&self, prompt: &str) -> Result<String, Box<dyn Error>> {
        let request = TaskRequest::new(prompt)
            .turns(self.turns.iter().cloned())
            .custom_param("temperature", self.temperature)
            .max_output_tokens(LONGEST_ANSWER)
            .on_text_control(|text| {
                let mut out = io::stdout();
                // Where nobody reads, nothing more need be written.
                match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
        let task = self.manager.submit_task(self.helper, request)?;
        let set = |task| *self.running.lock().unwrap_or_else(PoisonError::into_inner) = task;
        set(Some(task));
        let done = self.manager.wait_task(self.helper, task, WAIT);
        set(None);
        let done = done?;
        match (done.error, done.result) {
            (Some(error), _) => Err(error.into()),
            (None, text) => {
                println!();
                Ok(text.unwrap_or_default())
            }
        }
    }

    /// Asks until the input ends.
    fn read_lines(mut self) -> Result<(), Box<dyn Error>> {
        let (manager, helper) = (self.manager.clone(), self.helper);
        let running = self.running.clone();
        ctrlc::set_handler(move || {
            match *running.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(task) => drop(manager.cancel_task(helper, task)),
                None => eprintln!("\n(Ctrl-D ends the program)"),
            }
        })?;
        let is_terminal = io::stdin().is_terminal();
        let mut lines = io::stdin().lock().lines();
        loop {
            if is_terminal {
                eprint!("> ");
            }
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            match self.answer(&line) {
                Ok(text) => {
                    self.turns.push(Turn::user(line));
                    self.turns.push(Turn::assistant(text));
                }
                Err(error) => self.forget_if_too_long(error.as_ref()),
            }
        }
    }

    /// Prints what went wrong; a conversation that has grown too long is begun anew.
    fn forget_if_too_long(&mut self, error: &(dyn Error + 'static)) {
        println!();
        eprintln!("({error})");
        let kind = error.downcast_ref::<automation_assistant::TaskError>().map(|e| e.kind());
        if kind == Some(ErrorKind::ContextLengthExceeded) {
            self.turns.clear();
            eprintln!("(the conversation begins anew)");
        }
    }
}
