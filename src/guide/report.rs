//! An audit file, and the debrief of it.
//!
//! With a [`Telemetry`](crate::Telemetry) each event is one line of JSON in a file; the texts of
//! prompts and answers are in none. A [`Debrief`](crate::Debrief) counts them.
//!
//! The debrief counts three kinds of events: the spawn of a helper, a call of a backend, and the
//! end of a task. A task with one call is two events; if it fails, it counts twice in
//! `error_count`, the failure rate and the top errors. `tasks_done` and `tasks_failed` count tasks.
//! A request that is rejected at submission (`InvalidRequest`, `QueueFull`) is no task, and has no
//! event.
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, Debrief, HelperConfig, Telemetry};
//!
//! # let folder = std::env::temp_dir().join(format!("aa-guide-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).map_err(|_| ()).ok();
//! let path = "audit.jsonl";
//! # let path = folder.join(path);
//! let telemetry = Telemetry::to_file(&path)?;
//! let manager = AutomationAssistantManager::builder().telemetry(telemetry).build()?;
//! let helper = manager.spawn(HelperConfig::local())?;
//! helper.ask("hello")?;
//!
//! let debrief = Debrief::from_path(&path)?;
//! println!("{debrief}");
//! assert_eq!((debrief.tasks_done(), debrief.tasks_failed()), (1, 0));
//! assert_eq!(debrief.total_events(), 3);
//! assert_eq!(debrief.to_json()["tasks"]["done"], 1);
//! let markdown = debrief.to_markdown();
//! # assert!(markdown.contains("Tasks: 1 done"));
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok::<(), automation_assistant::Error>(())
//! ```
