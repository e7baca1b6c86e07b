//! An answer streamed to the screen, with a stop.
//!
//! [`on_text_control`](crate::TaskRequest::on_text_control) gets each delta of the answer on the
//! helper's thread. `ControlFlow::Break` ends the task as
//! [`Cancelled`](crate::ErrorKind::Cancelled); the text so far is in
//! [`TaskError::partial`](crate::TaskError::partial). So is what a model had written when the task
//! timed out, was cancelled, or lost its connection.
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest, Turn};
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//!
//! let manager = AutomationAssistantManager::new(1);
//! let helper = manager.spawn(HelperConfig::local().system_prompt("Answer in one sentence."))?;
//!
//! // Set by whoever may stop the answer: a signal handler, a button.
//! let stop = Arc::new(AtomicBool::new(false));
//! let stopped = Arc::clone(&stop);
//! let history = [Turn::user("My name is Ada."), Turn::assistant("Hello, Ada.")];
//! let request = TaskRequest::new("What is my name?").turns(history).on_text_control(move |delta| {
//!     print!("{delta}");
//!     match stopped.load(Ordering::Relaxed) {
//!         true => ControlFlow::Break(()),
//!         false => ControlFlow::Continue(()),
//!     }
//! });
//! let task = helper.ask(request)?;
//! match (&task.result, &task.error) {
//!     (Some(answer), _) => println!("\n{} bytes in all", answer.len()),
//!     (_, Some(error)) => println!("\n{error}; so far: {:?}", error.partial()),
//!     (None, None) => unreachable!("a finished task has one of them"),
//! }
//! # assert!(task.is_success());
//! # Ok::<(), automation_assistant::Error>(())
//! ```
