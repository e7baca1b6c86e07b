//! The backend: one task as one or more replies of the model.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{
    AiBackend, AutomationAssistantManager, BackendType, Error, HelperConfig, HelperId, TaskError,
    Tool, Usage,
};

use crate::context::Context;
use crate::generate::{Completion, Generation};
use crate::params::{Params, ToolChoice};
use crate::prompt;
use crate::sample::Sampler;
use crate::schema::Shape;
use crate::template::Message;
use crate::weights::Weights;

/// A task's time where [`create_gguf_helper`] makes the helper: a Local model server's.
const TIMEOUT: Duration = Duration::from_secs(300);
/// A batch or a token is computed to its end, whatever happens.
const STOP_GRACE: Duration = Duration::from_millis(250);

/// A model inside the program, loaded from a GGUF file. Clones share it.
#[derive(Clone)]
pub struct GgufBackend(Arc<Shared>);

struct Shared {
    name: String,
    model: Arc<str>,
    weights: Arc<Weights>,
    /// Contexts that no call uses now.
    idle: Mutex<Vec<Context>>,
}

impl GgufBackend {
    pub(crate) fn new(model: Arc<str>, weights: Arc<Weights>, first: Context) -> Self {
        let name = format!("GGUF ({model})");
        Self(Arc::new(Shared { name, model, weights, idle: Mutex::new(vec![first]) }))
    }

    /// How many tokens prompt and answer may have together: what was set, or what the model was
    /// made for if that is less.
    pub fn context_tokens(&self) -> u32 {
        self.0.weights.settings.context_tokens
    }

    /// How many threads compute one call.
    pub fn threads(&self) -> usize {
        self.0.weights.settings.threads
    }
}

impl fmt::Debug for GgufBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GgufBackend")
            .field("model", &self.0.model)
            .field("weights", &self.0.weights)
            .finish_non_exhaustive()
    }
}

impl AiBackend for GgufBackend {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let mut params = Params::of(call)?;
        params.seed = params.seed.or(self.0.weights.settings.seed);
        let mut borrowed = self.0.borrow_context()?;
        // The hasher's keys are random; there is no other source of randomness in std.
        let random = || RandomState::new().hash_one(call.task_id());
        let seed = params.seed.unwrap_or_else(random);
        let task = Task {
            call,
            params: &params,
            sampler: Sampler::new(&params, seed),
            context: borrowed.get(),
            usage: Usage::new(0, 0),
        };
        task.run().map(|reply| reply.with_model(&*self.0.model))
    }

    fn stop_grace(&self) -> Duration {
        STOP_GRACE
    }
}

/// The kinds of reply that the model may give now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Answer,
    Call,
    Either,
}

/// One task in progress.
struct Task<'a> {
    call: &'a CallContext<'a>,
    params: &'a Params,
    sampler: Sampler,
    context: &'a mut Context,
    usage: Usage,
}

impl Task<'_> {
    /// Lets the model reply until it calls no tool.
    fn run(mut self) -> Result<Reply, TaskError> {
        let tools = match self.params.tool_choice {
            ToolChoice::None => &[],
            _ => self.call.request().get_tools(),
        };
        let mut messages = prompt::messages(self.call, tools);
        let mut rounds_left = self.call.max_tool_rounds();
        let mut turn = match self.params.tool_choice {
            _ if tools.is_empty() => Turn::Answer,
            ToolChoice::Required => Turn::Call,
            _ => Turn::Either,
        };
        let mut last_call = None;
        loop {
            let completion = self.reply(&messages, tools, turn)?;
            let call = match turn {
                Turn::Answer => None,
                Turn::Call | Turn::Either => prompt::tool_call(&completion.text, tools),
            };
            let Some(call) = call else {
                return self.answer(completion);
            };
            if last_call.as_ref() == Some(&call) {
                // Small models go round in circles.
                turn = Turn::Answer;
                continue;
            }
            if rounds_left == 0 {
                return Err(prompt::too_many_rounds(self.call.max_tool_rounds()));
            }
            rounds_left -= 1;
            turn = Turn::Either;
            // A failure is a text for the model, too.
            let result = self.call.run_tool(&call.name, &call.arguments);
            let result = result.unwrap_or_else(|failure| failure);
            messages.extend(prompt::round(&completion.text, &call.name, &result));
            last_call = Some(call);
        }
    }

    fn reply(
        &mut self,
        messages: &[Message],
        tools: &[Arc<dyn Tool>],
        turn: Turn,
    ) -> Result<Completion, TaskError> {
        let call_schema = prompt::call_schema(tools);
        let schema = self.call.request().get_reply_schema().map(|(_, schema)| schema);
        let shape = match (turn, schema) {
            (Turn::Answer, None) if tools.is_empty() => None,
            (Turn::Answer, None) => Some(Shape::Text),
            (Turn::Answer, Some(schema)) => Some(Shape::Json(schema)),
            (Turn::Call, _) => Some(Shape::Json(&call_schema)),
            (Turn::Either, None) => Some(Shape::CallOrText(&call_schema)),
            (Turn::Either, Some(schema)) => Some(Shape::CallOrJson(&call_schema, schema)),
        };
        let text = self.context.weights().template.render(messages)?;
        let written = usize::try_from(self.usage.completion_tokens).unwrap_or(usize::MAX);
        let max_tokens = self.params.max_tokens.unwrap_or(usize::MAX).saturating_sub(written);
        let generation = Generation {
            call: self.call,
            params: self.params,
            sampler: &mut self.sampler,
            shape,
            max_tokens,
            may_call: !tools.is_empty(),
        };
        let completion = generation.run(self.context, &text)?;
        self.count(&completion);
        Ok(completion)
    }

    fn answer(&self, mut completion: Completion) -> Result<Reply, TaskError> {
        if completion.withheld {
            // It might have become a call. Half a call is no answer.
            if self.call.request().get_reply_schema().is_none() {
                completion.text.clear();
            }
            self.call.send_text(&completion.text)?;
        }
        Ok(Reply::new(completion.text).with_usage(self.usage).with_finish_reason(completion.finish))
    }

    fn count(&mut self, completion: &Completion) {
        let tokens = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let usage = &mut self.usage;
        usage.prompt_tokens += tokens(completion.prompt_tokens);
        usage.completion_tokens += tokens(completion.completion_tokens);
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
        let cached = usage.cached_tokens.unwrap_or(0);
        usage.cached_tokens = Some(cached + tokens(completion.cached_tokens));
        let reasoning = usage.reasoning_tokens.unwrap_or(0);
        usage.reasoning_tokens = Some(reasoning + tokens(completion.reasoning_tokens));
    }
}

impl Shared {
    /// An idle context, or a new one.
    fn borrow_context(&self) -> Result<Borrowed<'_>, TaskError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let context = idle.map_or_else(|| Context::new(&self.weights), Ok)?;
        Ok(Borrowed { shared: self, context: Some(context) })
    }
}

/// A context in use; it goes back when this is dropped.
struct Borrowed<'a> {
    shared: &'a Shared,
    context: Option<Context>,
}

impl Borrowed<'_> {
    fn get(&mut self) -> &mut Context {
        // It is taken at the drop alone.
        #[allow(clippy::unwrap_used)]
        self.context.as_mut().unwrap()
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.context.take());
    }
}

/// Spawns a helper with the model of this file and all defaults; a task may take 300 s.
///
/// The weights are loaded here, which takes a while: see [`crate::GgufBuilder::build`]. For two
/// helpers with one model, clone a [`GgufBackend`].
///
/// # Errors
///
/// [`Error::InvalidConfig`] where the model is not loaded (with the words of
/// [`LoadError`](crate::LoadError)), else as `spawn_helper_with`.
pub fn create_gguf_helper(
    manager: &AutomationAssistantManager,
    name: &str,
    path: impl AsRef<Path>,
) -> Result<HelperId, Error> {
    let backend = GgufBackend::builder(path).build()?;
    let config = HelperConfig::new(BackendType::Custom).name(name).timeout(TIMEOUT);
    manager.spawn_helper_with(config, backend)
}
