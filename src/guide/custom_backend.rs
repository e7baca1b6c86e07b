//! A backend of your own.
//!
//! [`AiBackend::process`](crate::AiBackend::process) blocks a thread of the helper until there is
//! an answer. Two ways lead out of it:
//!
//! - Text given to [`send_text`](crate::CallContext::send_text) streams to the request's
//!   `on_text`. If the task fails, that text is in [`partial`](crate::TaskError::partial).
//! - The text of the [`Reply`](crate::Reply) is the task's result. It is not streamed.
//!
//! A backend that streams sends each delta and returns all of them in the reply, as below. One that
//! does not stream returns the reply alone; `on_text` is then not called.
//!
//! ```
//! use automation_assistant::{
//!     AiBackend, AutomationAssistantManager, CallContext, HelperConfig, Reply, TaskError,
//! };
//!
//! struct Words;
//!
//! impl AiBackend for Words {
//!     fn name(&self) -> &str {
//!         "Words"
//!     }
//!
//!     fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
//!         let limit = call.request().get_context().get("limit").and_then(|limit| limit.as_u64());
//!         let mut answer = String::new();
//!         for word in call.prompt().split_whitespace().take(limit.unwrap_or(100) as usize) {
//!             // Fails once the task is cancelled or its time is up.
//!             call.check()?;
//!             let delta = format!("{word} ");
//!             call.send_text(&delta)?;
//!             answer.push_str(&delta);
//!         }
//!         Ok(Reply::new(answer).with_model("words-1"))
//!     }
//! }
//!
//! let manager = AutomationAssistantManager::new(1);
//! let helper = manager.spawn_with(HelperConfig::local().name("mine"), Words)?;
//! let task = helper.ask("three little words")?;
//! assert_eq!(task.result.as_deref(), Some("three little words "));
//! # Ok::<(), automation_assistant::Error>(())
//! ```
