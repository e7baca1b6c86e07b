//! A request's settings for the model that every provider's protocol has, and the callbacks for
//! streamed output.

use std::ops::ControlFlow;

use super::{Exclusive, OnText, TaskRequest};
use crate::foreign::Foreign;

/// Settings for the model; only those that are set are sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct ModelSettings {
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) reasoning_effort: Option<String>,
}

impl ModelSettings {
    /// Why these settings are invalid.
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
    /// The greatest number of tokens that the model writes, its reasoning included; overrides the
    /// helper's. Each provider gets it under its own field's name. The embedded engine ignores
    /// it. Defaults to the helper's.
    #[must_use]
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.model_settings_mut().max_output_tokens = Some(tokens);
        self
    }

    /// The reasoning effort, such as `low`; overrides the helper's. It is a text, since providers
    /// add values: one that the model does not know ends the task as the server's
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest). Sent only if set. Defaults to the
    /// helper's.
    #[must_use]
    pub fn reasoning_effort(mut self, effort: impl Into<String>) -> Self {
        self.model_settings_mut().reasoning_effort = Some(effort.into());
        self
    }

    /// Called with each delta of the answer's text as it arrives. Runs on the helper's thread,
    /// outside every lock; a panic in it ends the task as
    /// [`Panicked`](crate::ErrorKind::Panicked). Setting it asks the server for a stream. Text that
    /// a model writes before it calls a tool comes here too; the task's result is the text of its
    /// last reply alone.
    ///
    /// ```
    /// use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest};
    ///
    /// let manager = AutomationAssistantManager::new(1);
    /// let helper = manager.spawn(HelperConfig::local())?;
    /// helper.ask(TaskRequest::new("hello").on_text(|delta| print!("{delta}")))?;
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    #[doc(alias("streaming", "sse"))]
    #[must_use]
    pub fn on_text(self, mut callback: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_text_control(move |text| {
            callback(text);
            ControlFlow::Continue(())
        })
    }

    /// As [`on_text`](Self::on_text), with a callback that can stop its task:
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

    /// Called with each delta of the model's reasoning (its thoughts, or a summary of them), if
    /// the provider sends it. Reasoning is never part of the answer. Runs as
    /// [`on_text`](Self::on_text) does, adds no field to the request, and requests no stream by
    /// itself. A retry may repeat deltas.
    #[doc(alias = "thinking")]
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
