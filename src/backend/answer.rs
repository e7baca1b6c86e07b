//! What the model said, from a whole reply.

use crate::backend::failure::Failure;
use crate::backend::reply::{Chat, Choice, ToolCall};
use crate::backend::wire::Call;
use crate::task::{FinishReason, Usage};
use crate::task_error::{ErrorKind, TaskError};

/// What the model said in one call.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// The model's own words for not answering.
    pub(crate) refusal: String,
    /// Tools that it wants called.
    pub(crate) calls: Vec<Call>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) finish: Option<FinishReason>,
}

impl Answer {
    /// Takes the answer out of a reply that is no error.
    pub(crate) fn of(chat: Chat) -> Result<Self, Failure> {
        let mut answer = Self {
            model: chat.model.0.filter(|model| !model.is_empty()),
            usage: chat.usage.usage(),
            ..Self::default()
        };
        let protocol = |what| Failure::last(TaskError::new(ErrorKind::Protocol, what));
        let first = first_choice(chat.choices.unwrap_or_default());
        let Some(choice) = first else {
            return Err(protocol("the server's answer holds no choices: check the model"));
        };
        answer.finish = choice.finish();
        // Some servers answer in the form of a stream's last piece.
        let Some(message) = choice.message.or(choice.delta) else {
            return Err(protocol("the server's answer holds no message"));
        };
        answer.text = message.content.0.unwrap_or_default();
        answer.refusal = message.refusal.0.unwrap_or_default();
        answer.calls = message.tool_calls.into_iter().map(call).collect();
        answer.check()
    }

    /// Refuses what is no answer to the prompt.
    pub(crate) fn check(self) -> Result<Self, Failure> {
        let filtered = |what, partial: &str| {
            let error = TaskError::new(ErrorKind::ContentFiltered, what);
            Err(Failure::last(error).with_partial(partial))
        };
        if self.finish == Some(FinishReason::ContentFilter) {
            return filtered("the provider's content rules withheld the answer", &self.text);
        }
        if !self.refusal.is_empty() && self.text.is_empty() && self.calls.is_empty() {
            return filtered(
                "the model refused to answer; its words are the partial answer",
                &self.refusal,
            );
        }
        Ok(self)
    }
}

/// The first of several answers; servers need not send them in order.
fn first_choice(choices: Vec<Choice>) -> Option<Choice> {
    choices.into_iter().min_by_key(|choice| choice.index.0.unwrap_or(0))
}

fn call(call: ToolCall) -> Call {
    Call {
        id: call.id.0.unwrap_or_default(),
        name: call.function.name.0.unwrap_or_default(),
        arguments: call.function.arguments.0.unwrap_or_default(),
    }
}
