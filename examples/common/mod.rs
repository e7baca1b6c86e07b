//! Shared by the examples: the source of the answers, and printing.
//!
//! An example asks a real model where one is configured: first the model server of
//! `DEMO_LOCAL_ENDPOINT` (such as `http://127.0.0.1:8080/v1`), then `OPENAI_API_KEY` or
//! `OPENAI_BASE_URL` (Anthropic's variables where its API is chosen). Without them the answers
//! are canned and marked `[canned]`: the client and the protocol are real, the server is the
//! stand-in on 127.0.0.1.
#![allow(dead_code, reason = "each example takes what it needs")]
#![allow(clippy::print_stderr, reason = "programs print for their user")]

#[macro_use]
pub(crate) mod say;
mod choice;
#[cfg(feature = "http")]
#[path = "../stand_in/mod.rs"]
pub(crate) mod stand_in;
mod wrap;

pub(crate) use choice::Choice;
pub(crate) use wrap::wrap;

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{
    AiBackend, AutomationAssistantManager, ErrorKind, HelperConfig, HelperId, OpenAiApi, Task,
    TaskError, TaskId,
};

/// Longer than any task here may take: a Local model server has 300 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(310);
/// Time between two lines that say that a task still runs.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Pause between the words of an answer that is canned within this program.
const WORD_PAUSE: Duration = Duration::from_millis(15);

/// The variables that select a real model: any, or only one in the cloud.
const ANY: &str = "DEMO_LOCAL_ENDPOINT (a model server), OPENAI_BASE_URL or OPENAI_API_KEY";
const CLOUD: &str = "OPENAI_BASE_URL or OPENAI_API_KEY";

/// Makes a canned answer from the model's name and the prompt (or a tool's result).
pub(crate) type Canned = fn(model: &str, prompt: &str) -> String;

/// Runs an example that takes no arguments; any but `--help` ends it with exit code 2.
pub(crate) fn main(name: &str, story: fn() -> Result<(), Box<dyn Error>>) -> ExitCode {
    match env::args_os().nth(1) {
        None => end(name, story()),
        Some(argument) => other_argument(&argument, name, &format!("{name}  (takes no arguments)")),
    }
}

/// Runs an example that can use each API; see [`Choice`].
pub(crate) fn main_by_api(
    name: &str,
    story: fn(&Choice) -> Result<(), Box<dyn Error>>,
) -> ExitCode {
    match Choice::parse(env::args_os().skip(1)) {
        Ok(choice) => end(name, choice.check().map_err(Into::into).and_then(|()| story(&choice))),
        Err(other) => other_argument(&other, name, &format!("{name} {}", Choice::USAGE)),
    }
}

/// Prints the usage: for `--help`, or after an unknown argument.
pub(crate) fn other_argument(argument: &OsStr, name: &str, usage: &str) -> ExitCode {
    if argument == "--help" || argument == "-h" {
        say!("usage: {usage}");
        return ExitCode::SUCCESS;
    }
    eprintln!("{name}: unknown argument {argument:?}\nusage: {usage}");
    ExitCode::from(2)
}

/// The program's exit code, and its error on the screen.
pub(crate) fn end(name: &str, outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {}", say::harmless(&error.to_string()));
            ExitCode::FAILURE
        }
    }
}

/// The source of the answers of this run.
pub(crate) struct Answers {
    source: Source,
    description: String,
    /// The API that the stand-in is asked over.
    api: choice::Api,
}

/// The API of the stand-in unless a program's arguments choose another.
const CHAT: choice::Api = choice::Api::OpenAi(OpenAiApi::ChatCompletions);

enum Source {
    Model(Box<HelperConfig>),
    #[cfg(feature = "http")]
    StandIn(stand_in::StandIn),
    #[cfg(not(feature = "http"))]
    Within(CannedBackend),
}

impl Answers {
    /// A real model where the environment names one; canned answers otherwise.
    pub(crate) fn find(canned: Canned) -> std::io::Result<Self> {
        Self::choose(local_server().or_else(openai), canned, ANY)
    }

    /// The same, but never a model server on this device.
    pub(crate) fn find_cloud(canned: Canned) -> std::io::Result<Self> {
        Self::choose(openai(), canned, CLOUD)
    }

    fn choose(
        real: Option<(HelperConfig, String)>,
        canned: Canned,
        variables: &str,
    ) -> std::io::Result<Self> {
        if let (Some((config, description)), true) = (real.clone(), cfg!(feature = "http")) {
            return Ok(Self { source: Source::Model(Box::new(config)), description, api: CHAT });
        }
        if real.is_some() {
            say!("(A model is configured, but this build lacks the cargo feature \"http\".)");
        }
        Self::prepared(canned, variables)
    }

    /// Canned answers, whatever is configured.
    pub(crate) fn canned(canned: Canned) -> std::io::Result<Self> {
        Self::prepared(canned, ANY)
    }

    /// `variables` select a real model in place of these.
    #[cfg(feature = "http")]
    fn prepared(canned: Canned, variables: &str) -> std::io::Result<Self> {
        let source = Source::StandIn(stand_in::StandIn::start(canned)?);
        let description = format!(
            "canned. A stand-in server on 127.0.0.1 gives prepared answers. For real ones set \
             {variables}."
        );
        Ok(Self { source, description, api: CHAT })
    }

    #[cfg(not(feature = "http"))]
    fn prepared(canned: Canned, variables: &str) -> std::io::Result<Self> {
        let description = format!(
            "canned. The program itself gives prepared answers. Real ones need the cargo feature \
             \"http\" and {variables}."
        );
        let backend = CannedBackend::new(canned);
        Ok(Self { source: Source::Within(backend), description, api: CHAT })
    }

    /// Prints where the answers come from, after this heading.
    pub(crate) fn print_source(&self, whose: &str) {
        say!("{}", wrap(&self.description, &format!("{whose}: "), ""));
    }

    /// Whether the answers were prepared beforehand.
    pub(crate) fn is_canned(&self) -> bool {
        !matches!(self.source, Source::Model(_))
    }

    /// The mark before every canned answer.
    pub(crate) fn mark(&self) -> &'static str {
        if self.is_canned() { "[canned] " } else { "" }
    }

    /// Spawns a helper; the closure adds to its configuration.
    pub(crate) fn spawn(
        &self,
        manager: &AutomationAssistantManager,
        adjust: impl FnOnce(HelperConfig) -> HelperConfig,
    ) -> Result<HelperId, automation_assistant::Error> {
        match &self.source {
            Source::Model(config) => manager.spawn_helper(adjust((**config).clone())),
            #[cfg(feature = "http")]
            Source::StandIn(server) => {
                let config = self.api.config().model("stand-in");
                // The key is for the stand-in alone: one of the user's is never sent to it.
                let config = config.api_endpoint(server.openai_base()).api_key("none");
                manager.spawn_helper(adjust(config))
            }
            #[cfg(not(feature = "http"))]
            Source::Within(backend) => {
                manager.spawn_helper_with(adjust(HelperConfig::local()), backend.clone())
            }
        }
    }

    /// Cuts the connection to the prepared answers, as a lost network would, or restores it;
    /// `false` if the answers are real: the network stays as it is.
    pub(crate) fn set_offline(&self, offline: bool) -> bool {
        match &self.source {
            Source::Model(_) => return false,
            #[cfg(feature = "http")]
            Source::StandIn(server) => server.set_offline(offline),
            #[cfg(not(feature = "http"))]
            Source::Within(backend) => backend.offline.store(offline, Ordering::SeqCst),
        }
        true
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The model server on this device, if there is one.
pub(crate) fn local_server() -> Option<(HelperConfig, String)> {
    let url = variable("DEMO_LOCAL_ENDPOINT")?;
    Some((HelperConfig::local().api_endpoint(url), "from the model server on this device.".into()))
}

/// OpenAI, or a server with its protocol, if there is a key or an address.
pub(crate) fn openai() -> Option<(HelperConfig, String)> {
    let description = match (variable("OPENAI_BASE_URL"), variable("OPENAI_API_KEY")) {
        (Some(_), _) => "from the server that OPENAI_BASE_URL names.",
        (None, Some(_)) => "from OpenAI.",
        (None, None) => return None,
    };
    Some((HelperConfig::chatgpt(), description.to_owned()))
}

/// Prepared answers without a server, word by word.
#[derive(Clone)]
pub(crate) struct CannedBackend {
    name: String,
    answer: Canned,
    offline: Arc<AtomicBool>,
}

impl CannedBackend {
    pub(crate) fn new(answer: Canned) -> Self {
        Self { name: "stand-in".to_owned(), answer, offline: Arc::default() }
    }
}

impl AiBackend for CannedBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        if self.offline.load(Ordering::SeqCst) {
            return Err(TaskError::new(ErrorKind::Network, "the network is down (simulated)"));
        }
        let text = (self.answer)(&self.name, call.prompt());
        if call.wants_text() {
            for word in text.split_inclusive(' ') {
                call.send_text(word)?;
                call.pause(WORD_PAUSE)?;
            }
        }
        Ok(Reply::new(text).with_model(&self.name))
    }
}

/// Waits for a task, and prints a line at intervals while it runs.
pub(crate) fn wait(
    manager: &AutomationAssistantManager,
    helper: HelperId,
    task: TaskId,
) -> Result<Task, automation_assistant::Error> {
    use automation_assistant::Error::WaitTimedOut;
    let began = Instant::now();
    loop {
        match manager.wait_task(helper, task, PROGRESS_EVERY) {
            Err(WaitTimedOut { .. }) if began.elapsed() < PATIENCE => {
                say!("  … still running after {:.0?}", began.elapsed());
            }
            outcome => return outcome,
        }
    }
}

/// Text under a heading: every line moved in, none longer than a phone's screen is wide.
pub(crate) fn indent(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().map(|line| wrap(line, "  ", "  ")).collect();
    lines.join("\n")
}

/// A time, rounded as a person would say it.
pub(crate) fn spoken(time: Duration) -> String {
    const MINUTE: f64 = 60.0;
    match time.as_secs_f64() {
        seconds if seconds >= MINUTE => format!("{:.0} min", seconds / MINUTE),
        seconds if seconds >= 0.1 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} ms", (seconds * 1e3).ceil()),
    }
}
