//! Ordered helpers, of which the first that can answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::gather::{await_one, will_repeat};
use super::{Speech, Together, Vigil, say};
use crate::error::Error;
use crate::event::{Event, EventKind, Fact};
use crate::id::HelperId;
use crate::task::{Task, TaskRequest};

/// Default share of the whole time that is kept for each helper that follows.
const DEFAULT_SHARE: f64 = 0.2;
/// Default first pause of a helper that failed in a way that will repeat.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);
/// Default longest pause.
const DEFAULT_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Ordered helpers (say cloud, other cloud, Local), of which the first that can answers.
///
/// A helper that fails in a way that will repeat (no network, a spent quota, a refused key)
/// is left out for a while: 5 s at first, doubled each time up to 300 s, or as long as its
/// provider asks. Then one task tries it again, and a success brings it back. Keep the value
/// and use it for many requests, from several threads if you like.
///
/// Attempts at a helper that others follow are not retried: the next helper is the retry.
///
/// ```
/// use automation_assistant::{
///     AutomationAssistantManager, Fallback, TaskRequest, Together, create_local_helper,
/// };
///
/// let manager = AutomationAssistantManager::new(2);
/// let cloud = create_local_helper(&manager, "stands for a cloud")?;
/// let local = create_local_helper(&manager, "local")?;
/// let fallback = Fallback::new([cloud, local]);
/// let report = fallback.run(&Together::new(&manager), &TaskRequest::new("hello"))?;
/// assert_eq!(report.helper(), Some(cloud));
/// # Ok::<(), automation_assistant::Error>(())
/// ```
pub struct Fallback {
    helpers: Vec<HelperId>,
    share: f64,
    pause: Duration,
    pause_max: Duration,
    restart_after_text: bool,
    cooling: Mutex<HashMap<HelperId, Cooling>>,
}

/// A helper on its cool-down.
struct Cooling {
    until: Instant,
    pause: Duration,
    /// One task tries it just now.
    probing: bool,
}

/// Why a helper gave no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum WhyNot {
    /// Its task failed.
    Failed(Box<Task>),
    /// The task could not be submitted or waited for.
    Refused(Error),
    /// It is left out for so long yet, after failures that will repeat.
    CoolingDown(Duration),
}

impl WhyNot {
    /// A short name, for telemetry and for people.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Failed(task) => task.error.as_ref().map_or("other", |e| e.kind().as_str()),
            Self::Refused(Error::QueueFull(_)) => "queue_full",
            Self::Refused(Error::Stopped(_)) => "stopped",
            Self::Refused(Error::UnknownHelper(_)) => "unknown_helper",
            Self::Refused(_) => "refused",
            Self::CoolingDown(_) => "cooling_down",
        }
    }
}

/// A helper that was asked, or left out, before another one answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tried {
    /// The helper.
    pub helper_id: HelperId,
    /// Why the answer is not its.
    pub why: WhyNot,
}

/// What became of a request over ordered helpers.
#[derive(Debug)]
#[non_exhaustive]
pub struct FallbackReport {
    /// The successful task, if any helper had one.
    pub task: Option<Task>,
    /// The helpers before it (or all of them), in order, and why the answer is not theirs.
    pub tried: Vec<Tried>,
}

impl FallbackReport {
    /// The text, if any helper answered.
    pub fn text(&self) -> Option<&str> {
        self.task.as_ref().and_then(|task| task.result.as_deref())
    }

    /// The helper that answered.
    pub fn helper(&self) -> Option<HelperId> {
        self.task.as_ref().map(|task| task.helper_id)
    }
}

impl Fallback {
    /// Over these helpers, in this order.
    pub fn new(helpers: impl IntoIterator<Item = HelperId>) -> Self {
        Self {
            helpers: helpers.into_iter().collect(),
            share: DEFAULT_SHARE,
            pause: DEFAULT_PAUSE,
            pause_max: DEFAULT_PAUSE_MAX,
            restart_after_text: false,
            cooling: Mutex::new(HashMap::new()),
        }
    }

    /// The share of the whole time, 0 to 1, that is kept for each helper that follows; never
    /// more than an equal share. Defaults to 0.2.
    #[must_use]
    pub fn reserve_share(mut self, share: f64) -> Self {
        self.share = share.clamp(0.0, 1.0);
        self
    }

    /// First and longest pause of a helper that failed in a way that will repeat. Defaults
    /// to 5 s and 300 s.
    #[must_use]
    pub fn cool_down(mut self, first: Duration, longest: Duration) -> Self {
        self.pause = first;
        self.pause_max = longest.max(first);
        self
    }

    /// Whether another helper may take over after text was delivered to
    /// [`Together::on_text`]; the callback is told that the text starts again. Defaults to
    /// `false`: what was said stands, and the request ends as it failed.
    #[must_use]
    pub fn restart_after_text(mut self, restart: bool) -> Self {
        self.restart_after_text = restart;
        self
    }

    /// Asks the helpers in order until one answers.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there is no helper, or if the request itself cannot be
    /// accepted. That nobody answered stands in the report.
    pub fn run(
        &self,
        together: &Together<'_>,
        template: &TaskRequest,
    ) -> Result<FallbackReport, Error> {
        if self.helpers.is_empty() {
            return Err(Error::InvalidRequest("there is no helper to fall back on".into()));
        }
        let until = together.until();
        let mut vigil = Vigil::new(&together.cancel, until);
        let mut report = FallbackReport { task: None, tried: Vec::new() };
        let mut chosen = Vec::new();
        for &helper_id in &self.helpers {
            match self.admit(helper_id) {
                None => chosen.push(helper_id),
                Some(left) => {
                    report.tried.push(Tried { helper_id, why: WhyNot::CoolingDown(left) });
                }
            }
        }
        if chosen.is_empty() {
            // Everybody cools down: better to try them all than to fail without a try.
            report.tried.clear();
            chosen.clone_from(&self.helpers);
        }
        let mut probes = Probes { fallback: self, left: chosen.clone() };
        for (at, &helper) in chosen.iter().enumerate() {
            let following = chosen.len() - at - 1;
            if vigil.is_over() {
                break;
            }
            if let Some(before) = report.tried.last() {
                tell(together, before, helper);
            }
            let request = self.request(together, template, helper, following, until);
            let spoken = Spoken::listen(together, request, helper);
            let outcome = together
                .submit(spoken.request, helper)
                .and_then(|pending| await_one(&mut vigil, pending));
            probes.left.retain(|other| *other != helper);
            let why = match outcome {
                Ok(task) if task.is_success() => {
                    self.lock().remove(&helper);
                    report.task = Some(task);
                    return Ok(report);
                }
                Err(error @ Error::InvalidRequest(_)) => return Err(error),
                Ok(task) => WhyNot::Failed(Box::new(task)),
                Err(error) => WhyNot::Refused(error),
            };
            self.note_failure(helper, &why);
            let spoke = spoken.spoke.load(Ordering::SeqCst);
            report.tried.push(Tried { helper_id: helper, why });
            if spoke && following > 0 {
                if !self.restart_after_text {
                    break;
                }
                if let Some(callback) = &together.on_text {
                    say(callback, chosen[at + 1], Speech::StartsAgain);
                }
            }
        }
        Ok(report)
    }

    /// The template with this helper's share of the time that is left.
    fn request(
        &self,
        together: &Together<'_>,
        template: &TaskRequest,
        helper: HelperId,
        following: usize,
        until: Option<Instant>,
    ) -> TaskRequest {
        let mut request = together.request_for(template, helper, until);
        if following > 0 {
            let left = request.deadline.unwrap_or(together.deadline);
            let share = self.share.min(1.0 / (following + 1) as f64);
            let own = left.mul_f64(1.0 - share * following as f64);
            request.deadline = Some(own);
            request.max_retries = request.max_retries.or(Some(0));
        }
        request
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<HelperId, Cooling>> {
        self.cooling.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How long the helper is left out yet; nothing if it may be asked. The first who asks
    /// after its cool-down is the probe; others go on without it until that has ended.
    fn admit(&self, helper: HelperId) -> Option<Duration> {
        let mut cooling = self.lock();
        let cool = cooling.get_mut(&helper)?;
        let left = cool.until.saturating_duration_since(Instant::now());
        if left.is_zero() && !cool.probing {
            cool.probing = true;
            return None;
        }
        Some(left)
    }

    fn note_failure(&self, helper: HelperId, why: &WhyNot) {
        let mut cooling = self.lock();
        if let Some(cool) = cooling.get_mut(&helper) {
            cool.probing = false;
        }
        let WhyNot::Failed(task) = why else { return };
        let Some(error) = task.error.as_ref().filter(|error| will_repeat(error.kind())) else {
            return;
        };
        let before = cooling.get(&helper).map(|cool| cool.pause);
        let pause = before.map_or(self.pause, |pause| pause.saturating_mul(2).min(self.pause_max));
        let wait = error.retry_after().unwrap_or_default().max(pause);
        let now = Instant::now();
        let until = now.checked_add(wait).unwrap_or(now);
        cooling.insert(helper, Cooling { until, pause, probing: false });
    }
}

/// Gives up the probes that were admitted but never made.
struct Probes<'a> {
    fallback: &'a Fallback,
    left: Vec<HelperId>,
}

impl Drop for Probes<'_> {
    fn drop(&mut self) {
        let mut cooling = self.fallback.lock();
        for helper in &self.left {
            if let Some(cool) = cooling.get_mut(helper) {
                cool.probing = false;
            }
        }
    }
}

/// A request that remembers whether its helper said anything to the caller.
struct Spoken {
    request: TaskRequest,
    spoke: Arc<AtomicBool>,
}

impl Spoken {
    fn listen(together: &Together<'_>, mut request: TaskRequest, helper: HelperId) -> Self {
        let spoke = Arc::new(AtomicBool::new(false));
        if let Some(callback) = &together.on_text {
            let (callback, heard) = (Arc::clone(callback), spoke.clone());
            request = request.on_text(move |text| {
                heard.store(true, Ordering::SeqCst);
                say(&callback, helper, Speech::Text(text));
            });
        }
        Self { request, spoke }
    }
}

/// Tells the observers which helper takes over for whom, and why.
fn tell(together: &Together<'_>, before: &Tried, to: HelperId) {
    let Ok(shared) = together.manager.shared(to) else { return };
    let from = before.helper_id.to_string();
    let to = to.to_string();
    let facts = [
        ("from", Fact::Text(&from)),
        ("to", Fact::Text(&to)),
        ("why", Fact::Text(before.why.as_str())),
    ];
    let mut event = Event::new(EventKind::Fallback).helper(shared.id, &shared.backend_name);
    event.facts = &facts;
    shared.observers.tell(&event);
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("helpers", &self.helpers)
            .field("cooling", &self.lock().keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
