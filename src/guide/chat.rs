//! An answer streamed to the screen, with a stop.
//!
//! [`on_text_control`](crate::TaskRequest::on_text_control) gets each delta of the answer on the
//! helper's thread. `ControlFlow::Break` ends the task as
//! [`Cancelled`](crate::ErrorKind::Cancelled); the text so far is in
//! [`TaskError::partial`](crate::TaskError::partial). So is what a model had written when the task
//! timed out, was cancelled, or lost its connection.
//!
//! A model may be silent for long. To end a task at once, also before its first word, submit it with
//! [`submit_task`](crate::AutomationHelper::submit_task), which returns its id, and call
//! [`cancel_task`](crate::AutomationHelper::cancel_task) from another thread.
//!
//! The embedded engine sends its complete echo as one delta, and reads no earlier turns; a model
//! sends many deltas.
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest, Turn};
//! use std::io::Write;
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//!
//! let manager = AutomationAssistantManager::new(1);
//! let helper = manager.spawn(HelperConfig::local().system_prompt("Answer in one sentence."))?;
//!
//! // Set by a signal handler or a button. It is read at the next delta.
//! let stop = Arc::new(AtomicBool::new(false));
//! let stopped = Arc::clone(&stop);
//! let history = [Turn::user("My name is Ada."), Turn::assistant("Hello, Ada.")];
//! let request = TaskRequest::new("What is my name?").turns(history).on_text_control(move |delta| {
//!     print!("{delta}");
//!     let _ = std::io::stdout().flush();
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
//!
//! A conversation, with a stop at once. A helper keeps no history: the program keeps the turns,
//! a stopped one too, and sends them with each prompt.
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest, Turn};
//! use std::time::Duration;
//!
//! let manager = AutomationAssistantManager::new(1);
//! // Stands for a slow model.
//! let slow = HelperConfig::local().custom_param("latency_ms", 60_000);
//! let helper = manager.spawn(slow)?;
//! let mut turns = vec![Turn::user("My name is Ada."), Turn::assistant("Hello, Ada.")];
//!
//! let prompt = "Write a long story.";
//! let request = TaskRequest::new(prompt).turns(turns.clone()).on_text(|delta| print!("{delta}"));
//! let id = helper.submit_task(request)?;
//! // Stands for the thread that reads the keyboard.
//! let handle = helper.clone();
//! std::thread::spawn(move || handle.cancel_task(id));
//!
//! // More than the helper's time-out of 30 s: the task has ended by then.
//! let task = helper.wait_task(id, Duration::from_secs(60))?;
//! let partial = task.error.as_ref().and_then(|error| error.partial());
//! let text = task.result.as_deref().or(partial).unwrap_or("(stopped)");
//! turns.extend([Turn::user(prompt), Turn::assistant(text)]);
//! # assert_eq!(turns[3].text, "(stopped)");
//! # Ok::<(), automation_assistant::Error>(())
//! ```
