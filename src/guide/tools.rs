//! A function that the model may call.
//!
//! The provider's model asks for the call; the helper makes it and sends the model its result.
//! A backend of your own finds the tools in
//! [`get_tools`](crate::TaskRequest::get_tools), offers them to its model, and runs the one that
//! the model asks for by [`CallContext::run_tool`](crate::backend::CallContext::run_tool). The embedded engine calls
//! none, and [`Task::echoed`](crate::Task::echoed) is then `true`: no model answered.
//!
//! Names of tools have 1 to 64 ASCII letters, digits, `_` and `-`, and are different within a
//! request: a rule of the providers', which every helper applies at submission.
//!
//! An `Arc` of a tool is a tool: requests share one by its clones. (A list of different tools is a
//! `Vec<Arc<dyn Tool>>`; see [`shared_tool`](crate::TaskRequest::shared_tool).)
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, FnTool, HelperConfig, TaskRequest};
//! use serde_json::json;
//! use std::sync::Arc;
//!
//! let clock = Arc::new(FnTool::new(
//!     "read_clock",
//!     "The time of day in a time zone.",
//!     json!({"type": "object", "properties": {"zone": {"type": "string"}}}),
//!     |arguments| match arguments["zone"].as_str() {
//!         Some("UTC") => Ok("12:00".to_owned()),
//!         zone => Err(format!("unknown time zone {zone:?}")),
//!     },
//! ));
//! let manager = AutomationAssistantManager::new(1);
//! let helper = manager.spawn(HelperConfig::local())?;
//! for prompt in ["What time is it?", "Is it time for lunch?"] {
//!     let task = helper.ask(TaskRequest::new(prompt).tool(Arc::clone(&clock)))?;
//!     assert!(task.is_success());
//! }
//! # Ok::<(), automation_assistant::Error>(())
//! ```
