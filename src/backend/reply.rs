//! A backend's answer.

use std::fmt;

use crate::task::{FinishReason, OpenAiApi, Usage};

/// A backend's answer: the complete text, whatever of it was streamed by
/// [`CallContext::send_text`](crate::CallContext::send_text).
///
/// ```
/// use automation_assistant::{FinishReason, Reply};
///
/// let reply = Reply::new("four words of text")
///     .with_model("words-1")
///     .with_finish_reason(FinishReason::Stop);
/// assert_eq!(reply.text, "four words of text");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Reply {
    /// The text.
    pub text: String,
    /// The model that wrote it, if known.
    pub model: Option<String>,
    /// Tokens, if reported.
    pub usage: Option<Usage>,
    /// Why the model stopped, if reported.
    pub finish_reason: Option<FinishReason>,
    /// The provider that runs the model (such as `openai`), if a gateway reported it.
    pub provider: Option<String>,
    /// Which of OpenAI's APIs answered.
    pub(crate) api: Option<OpenAiApi>,
    /// Whether the embedded engine answered, which returns its input.
    pub(crate) echoed: bool,
}

impl Reply {
    /// An answer with this text and no further values.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            model: None,
            usage: None,
            finish_reason: None,
            provider: None,
            api: None,
            echoed: false,
        }
    }

    /// The same with the model's name.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The same with tokens used.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// The same with the reason why the model stopped.
    #[must_use]
    pub fn with_finish_reason(mut self, reason: FinishReason) -> Self {
        self.finish_reason = Some(reason);
        self
    }

    /// The same with the provider that runs the model.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }
}

/// Shows lengths, never the text.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("text_bytes", &self.text.len())
            .field("model", &self.model)
            .field("usage", &self.usage)
            .field("finish_reason", &self.finish_reason)
            .field("provider", &self.provider)
            .finish()
    }
}
