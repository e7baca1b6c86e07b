//! What a request asks of the model itself, in words that every provider's protocol has, and
//! the callbacks for what the model says while it works.

use std::ops::ControlFlow;

use super::{Exclusive, OnText, TaskRequest};
use crate::foreign::Foreign;

/// What is asked of the model; what is not set is not sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelSettings {
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) reasoning_effort: Option<String>,
}

impl ModelSettings {
    /// Why these settings cannot be sent.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.max_output_tokens == Some(0) {
            return Err("max_output_tokens is zero: it must be at least 1".to_owned());
        }
        let effort = self.reasoning_effort.as_deref();
        if effort.is_some_and(|effort| effort.trim().is_empty()) {
            return Err("reasoning_effort is empty: leave it out, or give it a value".to_owned());
        }
        Ok(())
    }
}

impl TaskRequest {
    /// The greatest number of tokens that the model writes, its reasoning included; in place of
    /// the helper's. Each provider gets it under its own field's name. The embedded engine
    /// ignores it. Defaults to none; Anthropic's API, which requires one, then gets 4,096.
    #[must_use]
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.model_settings.max_output_tokens = Some(tokens);
        self
    }

    /// How hard the model shall think before it answers, such as `low`; in place of the helper's.
    /// It is a text, for providers add values: one that the model does not know is the server's
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest). Sent only when it is set.
    #[must_use]
    pub fn reasoning_effort(mut self, effort: impl Into<String>) -> Self {
        self.model_settings.reasoning_effort = Some(effort.into());
        self
    }

    /// Called with each delta of the answer's text as it arrives. Runs on the helper's thread,
    /// outside every lock; a panic in it ends the task as
    /// [`Panicked`](crate::ErrorKind::Panicked). Setting it asks the server for a stream.
    #[must_use]
    pub fn on_text(self, mut callback: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_text_control(move |text| {
            callback(text);
            ControlFlow::Continue(())
        })
    }

    /// The same as [`on_text`](Self::on_text) with a callback that can stop its task:
    /// `ControlFlow::Break` ends it as [`Cancelled`](crate::ErrorKind::Cancelled), with the text
    /// so far in [`TaskError::partial`](crate::TaskError::partial).
    #[must_use]
    pub fn on_text_control(
        mut self,
        callback: impl FnMut(&str) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.callbacks().text = Some(Foreign::new(Box::new(callback)));
        self
    }

    /// Called with each delta of the model's reasoning (its thoughts, or a summary of them), where
    /// the provider shows it. Reasoning is never part of the answer. Runs as
    /// [`on_text`](Self::on_text) does, adds no field to the request, and asks for no stream by
    /// itself. A call that is tried again may repeat what was shown.
    #[must_use]
    pub fn on_reasoning(mut self, callback: impl FnMut(&str) + Send + 'static) -> Self {
        self.callbacks().reasoning = Some(Foreign::new(Box::new(callback)));
        self
    }

    pub(crate) fn take_on_text(&mut self) -> Option<Foreign<OnText>> {
        self.on_text.take().map(Exclusive::into_inner)
    }

    fn callbacks(&mut self) -> &mut OnText {
        self.on_text.get_or_insert_with(|| Exclusive::new(OnText::default())).get_mut()
    }
}
