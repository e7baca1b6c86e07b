//! A hundred prompts over four helpers, with progress.
//!
//! [`Together::batch`](crate::together::Together::batch) gives each idle helper the next request
//! and returns the answers in the order of the requests. Each request has 300 s from its hand-over
//! to a helper, and in them the helper's own time-out;
//! [`deadline`](crate::together::Together::deadline) sets an end for the whole batch. A request
//! that no helper was asked by then has an [`Error::NotAsked`](crate::Error::NotAsked) as its
//! answer; observers get a `not_asked` event.
//!
//! A failed task is an answer too: `outcome` is then `Ok` with a task that has an `error`. It is
//! `Err` for a request without a task, such as one that is rejected as invalid; `index` says which
//! of the requests it was.
//!
//! ```
//! use automation_assistant::together::Together;
//! use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest};
//!
//! let manager = AutomationAssistantManager::new(4);
//! let helpers = (1..=4)
//!     .map(|n| Ok(manager.spawn(HelperConfig::local().name(format!("worker {n}")))?.helper_id()))
//!     .collect::<Result<Vec<_>, automation_assistant::Error>>()?;
//! let requests: Vec<TaskRequest> = (1..=100).map(|n| format!("Page {n}").into()).collect();
//!
//! let mut done = 0;
//! let answers = Together::new(&manager)
//!     .on_answer(|answer| {
//!         done += 1;
//!         let prompt = requests[answer.index].prompt();
//!         match &answer.outcome {
//!             Ok(task) => match &task.error {
//!                 None => println!("{done} of 100: {prompt}"),
//!                 Some(error) => println!("{done} of 100: {prompt} failed: {error}"),
//!             },
//!             Err(error) => println!("{done} of 100: {prompt} was not run: {error}"),
//!         }
//!     })
//!     .batch(&helpers, &requests)?;
//! let answered = answers.iter().filter(|answer| answer.is_success()).count();
//! assert_eq!((answered, done), (100, 100));
//! # Ok::<(), automation_assistant::Error>(())
//! ```
