//! The choices that a configuration has names for, and the key that it hides.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which backend answers a helper's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendType {
    /// The OpenAI API, or any server that speaks it.
    ChatGpt,
    /// The Opik LLM gateway of Comet.
    Comet,
    /// On the device: the embedded engine, or a model server.
    Local,
    /// The program's own; see
    /// [`spawn_helper_with`](crate::AutomationAssistantManager::spawn_helper_with).
    Custom,
}

impl BackendType {
    /// The name in configuration files: `chatgpt`, `comet`, `local`, `custom`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatGpt => "chatgpt",
            Self::Comet => "comet",
            Self::Local => "local",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for BackendType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for BackendType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for BackendType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = BackendType;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("chatgpt, comet, local or custom")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<BackendType, E> {
                match name {
                    "chatgpt" => Ok(BackendType::ChatGpt),
                    "comet" => Ok(BackendType::Comet),
                    "local" => Ok(BackendType::Local),
                    "custom" => Ok(BackendType::Custom),
                    _ => Err(E::unknown_variant(name, &["chatgpt", "comet", "local", "custom"])),
                }
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// What happens when a helper's kept results reach their bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenResultsFull {
    /// Results already read go first, oldest first; then the oldest unread, counted.
    #[default]
    DropOldest,
    /// Unread results stay; new tasks are refused with
    /// [`QueueFull`](crate::Error::QueueFull) until some were read, taken or cleared. No unread
    /// result is ever dropped: tasks that were accepted before the bound of bytes was reached
    /// may exceed it, each by at most [`max_reply_bytes`](crate::HelperConfig::max_reply_bytes) and
    /// its prompt and context.
    RefuseTasks,
}

/// How much of a helper's tasks is traced in Opik, where the manager has a sink for it
/// ([`ManagerBuilder::opik`](crate::ManagerBuilder::opik)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceMode {
    /// Nothing.
    Off,
    /// Times, model, provider, tokens, lengths, the kind of a failure. No prompt, context or
    /// reply.
    Metadata,
    /// Prompt, context and reply too.
    Content,
}

impl TraceMode {
    /// The name in configuration files: `off`, `metadata`, `content`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Metadata => "metadata",
            Self::Content => "content",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Off, Self::Metadata, Self::Content].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// A key that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    // Only the HTTP backends read keys.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn new(text: &str) -> Self {
        // A trailing newline from a file or variable is not part of a key.
        Self(text.trim().to_owned())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[set]")
    }
}
