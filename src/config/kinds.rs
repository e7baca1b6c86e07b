//! The named choices of a configuration.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which backend answers a helper's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendType {
    /// The OpenAI API, or any server that implements it.
    ChatGpt,
    /// The Opik LLM gateway of Comet.
    Comet,
    /// On the device: the embedded engine, or a model server.
    Local,
    /// The Anthropic API, or any server that implements it.
    Anthropic,
    /// The program's own backend; see
    /// [`spawn_helper_with`](crate::AutomationAssistantManager::spawn_helper_with).
    Custom,
}

impl BackendType {
    const ALL: [Self; 5] = [Self::ChatGpt, Self::Comet, Self::Local, Self::Anthropic, Self::Custom];

    /// The name in configuration files: `chatgpt`, `comet`, `local`, `anthropic`, `custom`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatGpt => "chatgpt",
            Self::Comet => "comet",
            Self::Local => "local",
            Self::Anthropic => "anthropic",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for BackendType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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
                f.write_str("the name of a backend, such as chatgpt or local")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<BackendType, E> {
                let found = BackendType::ALL.into_iter().find(|kind| kind.as_str() == name);
                found.ok_or_else(|| {
                    let names = BackendType::ALL.map(BackendType::as_str).join(", ");
                    E::custom(format_args!("unknown backend_type; there are: {names}"))
                })
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// The action when a helper's kept results reach their bound.
///
/// A result counts as read once a wait, a look-up or a call over several helpers has returned it.
/// [`on_done`](crate::TaskRequest::on_done) does not count: a program that uses it alone also takes
/// or clears the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenResultsFull {
    /// Read results are dropped first, in the order of their first reading; then the oldest unread
    /// ones, which are counted
    /// ([`dropped_results`](crate::HelperStatusReport::dropped_results)).
    #[default]
    DropOldest,
    /// Unread results are kept; new tasks are rejected with
    /// [`QueueFull`](crate::Error::QueueFull) until some were read, taken or cleared. No unread
    /// result is ever dropped: tasks that were accepted before the bound in bytes was reached may
    /// exceed it, each by at most [`max_reply_bytes`](crate::HelperConfig::max_reply_bytes) plus
    /// its prompt and context.
    RefuseTasks,
}

impl fmt::Display for WhenResultsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::DropOldest => "drop_oldest",
            Self::RefuseTasks => "refuse_tasks",
        })
    }
}

/// How much of a helper's tasks is traced in Opik, if its manager has a trace sink
/// ([`ManagerBuilder::opik`](crate::ManagerBuilder::opik)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceMode {
    /// Nothing.
    Off,
    /// Times, model, provider, tokens, lengths, the kind of a failure. No prompt, context or
    /// reply.
    Metadata,
    /// The same, and prompt, context and reply.
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

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Off, Self::Metadata, Self::Content].into_iter().find(|mode| mode.as_str() == name)
    }
}

impl fmt::Display for TraceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
