//! One reply: the prompt is computed, then one token after the other is chosen and computed.

use automation_assistant::backend::CallContext;
use automation_assistant::{ErrorKind, FinishReason, TaskError};
use llama_cpp_2::token::LlamaToken;

use crate::context::Context;
use crate::params::Params;
use crate::sample::Sampler;
use crate::schema::{Constraint, Shape};
use crate::text::Text;
use crate::tokens::tokenize;

/// A complete reply.
pub(crate) struct Completion {
    pub(crate) text: String,
    pub(crate) finish: FinishReason,
    /// It may be a tool call, and was not sent.
    pub(crate) withheld: bool,
    pub(crate) prompt_tokens: usize,
    /// Of the prompt's tokens, those that the context still had.
    pub(crate) cached_tokens: usize,
    /// Tokens chosen, the one that ends the reply included.
    pub(crate) completion_tokens: usize,
    /// Of those, the reasoning before the answer.
    pub(crate) reasoning_tokens: usize,
}

/// The inputs of one reply.
pub(crate) struct Generation<'a> {
    pub(crate) call: &'a CallContext<'a>,
    pub(crate) params: &'a Params,
    pub(crate) sampler: &'a mut Sampler,
    pub(crate) shape: Option<Shape<'a>>,
    /// The most tokens of this reply: the task's limit less those of the replies before.
    pub(crate) max_tokens: usize,
    /// Whether the reply may be a tool call, which is not sent as text.
    pub(crate) may_call: bool,
}

impl Generation<'_> {
    /// Computes a reply to this prompt.
    pub(crate) fn run(self, context: &mut Context, prompt: &str) -> Result<Completion, TaskError> {
        let weights = context.weights().clone();
        let constraint = match &self.shape {
            Some(shape) => Some(Constraint::new(weights.constraints()?, shape)?),
            None => None,
        };
        let tokens = tokenize(context, prompt, || self.call.check())?;
        let cached_tokens =
            context.prefill(&tokens, self.params.seed.is_some(), || self.call.check())?;
        let max_tokens = self.max_tokens;
        let mut reply = Reply {
            text: Text::new(prompt, self.params.stop.clone()),
            call: self.call,
            may_call: self.may_call,
            constraint,
            sampler: self.sampler,
            chosen: 0,
            reasoning: 0,
        };
        match reply.decode(context, max_tokens) {
            Ok(finish) => Ok(Completion {
                withheld: reply.is_call(),
                text: reply.text.into_string(),
                finish,
                prompt_tokens: tokens.len(),
                cached_tokens,
                completion_tokens: reply.chosen,
                reasoning_tokens: reply.reasoning,
            }),
            Err(error) if reply.is_call() => Err(error),
            Err(error) => Err(error.with_partial(reply.text.as_str())),
        }
    }
}

/// A reply in the making.
struct Reply<'a> {
    text: Text,
    call: &'a CallContext<'a>,
    may_call: bool,
    constraint: Option<Constraint>,
    sampler: &'a mut Sampler,
    chosen: usize,
    /// Of the tokens chosen, those of the reasoning.
    reasoning: usize,
}

impl Reply<'_> {
    fn decode(&mut self, context: &mut Context, max: usize) -> Result<FinishReason, TaskError> {
        let finish = loop {
            self.call.check()?;
            let token = self.choose(context)?;
            self.chosen += 1;
            let vocab = context.weights().model.vocab();
            if vocab.is_eog(token) {
                break FinishReason::Stop;
            }
            let stopped = self.text.push(&vocab.token_to_piece(token, false, None));
            self.reasoning += usize::from(self.text.is_thinking());
            self.send_thought();
            if !self.is_call() {
                self.call.send_text(self.text.delta())?;
            }
            if stopped || self.constraint.as_ref().is_some_and(Constraint::is_complete) {
                break FinishReason::Stop;
            }
            if self.chosen >= max || context.free_tokens() == 0 {
                break FinishReason::Length;
            }
            context.decode(token)?;
        };
        if !self.is_call() {
            self.call.send_text(self.text.rest())?;
            self.send_thought();
        }
        Ok(finish)
    }

    fn send_thought(&mut self) {
        let thought = self.text.thought();
        if !thought.is_empty() {
            self.call.send_reasoning(&thought);
        }
    }

    fn choose(&mut self, context: &Context) -> Result<LlamaToken, TaskError> {
        let mask = self.constraint.as_mut().map(Constraint::allowed).transpose()?;
        let allowed = |token| mask.as_ref().is_none_or(|mask| mask.is_allowed(token));
        let token = self.sampler.choose(context.logits(), allowed).ok_or_else(|| {
            TaskError::new(ErrorKind::Other, "the model found no token to go on with")
        })?;
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(token)?;
        }
        Ok(LlamaToken(token.cast_signed()))
    }

    /// Whether what there is may be a tool call.
    fn is_call(&self) -> bool {
        self.may_call && self.text.as_str().trim_start().starts_with('{')
    }
}
