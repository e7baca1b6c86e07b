//! OpenAI's two APIs.

use std::fmt;

use serde::{Serialize, Serializer};

/// One of OpenAI's APIs. See [`HelperConfig::openai_api`](crate::HelperConfig::openai_api).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OpenAiApi {
    /// Responses at `api.openai.com`, Chat Completions elsewhere; the other one if the server's
    /// error names it.
    #[default]
    Auto,
    /// Chat Completions, which nearly every server implements.
    ChatCompletions,
    /// Responses, which OpenAI's newest models require for tools.
    Responses,
}

impl OpenAiApi {
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::ChatCompletions, Self::Responses];

    /// The name in configuration files and telemetry: `auto`, `chat_completions`, `responses`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
        }
    }
}

impl fmt::Display for OpenAiApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for OpenAiApi {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
