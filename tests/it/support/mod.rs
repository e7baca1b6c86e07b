//! Helpers of several tests.

pub mod chance;
#[path = "../../../src/http/loopback_tests.rs"]
pub mod loopback;
pub mod pictures;
#[cfg(feature = "http")]
pub mod server;
#[cfg(feature = "tls")]
pub mod tls;

use std::ffi::OsString;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{
    AiBackend, AutomationAssistantManager, AutomationHelper, CallContext, Event, EventKind,
    HelperConfig, HelperId, Observe, Reply, TaskError,
};

/// Longer than anything here takes on a slow phone or a starved CI machine; a test that waits this
/// long has failed.
pub const LONG: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "{what}");
        std::thread::yield_now();
    }
}

/// Plays all rows of a table at once, a thread for each: for rows that wait.
pub fn side_by_side<T: Send>(rows: impl IntoIterator<Item = T>, play: impl Fn(T) + Sync) {
    let play = &play;
    std::thread::scope(|scope| {
        for row in rows {
            scope.spawn(move || play(row));
        }
    });
}

/// A backend that blocks until released: it sends each prompt that it begins, and answers
/// when it gets a word. It does not look at its cancel signal.
pub struct Gate {
    begun: Mutex<Sender<String>>,
    go: Mutex<Receiver<()>>,
}

/// The test's end of a [`Gate`].
pub struct GateKeeper {
    pub begun: Receiver<String>,
    pub go: Sender<()>,
}

impl GateKeeper {
    /// Waits until a task has begun; gives its prompt.
    pub fn next(&self) -> String {
        self.begun.recv_timeout(LONG).expect("a task begins")
    }
}

pub fn gate() -> (Gate, GateKeeper) {
    let (begun_in, begun) = channel();
    let (go, go_out) = channel();
    (Gate { begun: Mutex::new(begun_in), go: Mutex::new(go_out) }, GateKeeper { begun, go })
}

impl AiBackend for Gate {
    fn name(&self) -> &str {
        "Gate"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let _ = self.begun.lock().unwrap().send(call.prompt().to_owned());
        let _ = self.go.lock().unwrap().recv_timeout(LONG);
        Ok(Reply::new(call.prompt()))
    }
}

/// A backend that waits for its cancel signal (or its time), and says when it has begun.
pub struct Patient {
    begun: Mutex<Sender<String>>,
}

pub fn patient() -> (Patient, Receiver<String>) {
    let (begun, receiver) = channel();
    (Patient { begun: Mutex::new(begun) }, receiver)
}

impl AiBackend for Patient {
    fn name(&self) -> &str {
        "Patient"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let _ = self.begun.lock().unwrap().send(call.prompt().to_owned());
        call.pause(LONG)?;
        Ok(Reply::new("waited in vain"))
    }
}

/// A backend made of a closure.
pub struct FnBackend<F>(pub F);

impl<F> AiBackend for FnBackend<F>
where
    F: Fn(&CallContext<'_>) -> Result<Reply, TaskError> + Send + Sync,
{
    fn name(&self) -> &str {
        "Fn"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        (self.0)(call)
    }
}

/// An observer that writes down kinds and outcomes.
#[derive(Default)]
pub struct Notes(Mutex<Vec<(EventKind, bool, Option<&'static str>)>>);

impl Notes {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn of(&self, kind: EventKind) -> Vec<(bool, Option<&'static str>)> {
        let notes = self.0.lock().unwrap();
        notes.iter().filter(|note| note.0 == kind).map(|note| (note.1, note.2)).collect()
    }
}

impl Observe for Notes {
    fn on_event(&self, event: &Event<'_>) {
        let error = event.error().map(|error| error.kind().as_str());
        self.0.lock().unwrap().push((event.kind(), event.success(), error));
    }
}

/// A started helper with the embedded engine.
pub fn echo(config: HelperConfig) -> AutomationHelper {
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    helper
}

/// A manager with one helper of this backend.
pub fn one_helper(
    config: HelperConfig,
    backend: impl AiBackend + 'static,
) -> (AutomationAssistantManager, HelperId) {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    (manager, helper)
}

/// Cargo's runner of foreign programs, such as an emulator.
pub fn runner() -> Vec<String> {
    let arch = std::env::consts::ARCH.to_uppercase();
    let ours = |name: &str| {
        name.starts_with(&format!("CARGO_TARGET_{arch}_")) && name.ends_with("_RUNNER")
    };
    let found = std::env::vars().find(|(name, _)| ours(name));
    let words = found.map(|(_, value)| value.split_whitespace().map(str::to_owned).collect());
    words.unwrap_or_default()
}

/// A program, to be run as cargo would run it.
pub fn command(program: impl Into<OsString>) -> Command {
    let mut words: Vec<OsString> = runner().into_iter().map(Into::into).collect();
    words.push(program.into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// This very program, to be run again: for what needs a process of its own.
pub fn this_program() -> Command {
    command(std::env::current_exe().unwrap())
}

/// A backend that claims to be in the cloud.
pub struct Cloud;

impl AiBackend for Cloud {
    fn name(&self) -> &str {
        "Cloud"
    }

    fn process(&self, _: &CallContext<'_>) -> Result<Reply, TaskError> {
        Ok(Reply::new("from the cloud"))
    }

    fn leaves_device(&self) -> bool {
        true
    }
}
