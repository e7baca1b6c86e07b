//! A cloud model, and a local one where it cannot be reached.
//!
//! [`Fallback`](crate::together::Fallback) asks its helpers in order until one answers. A helper
//! whose failure will repeat (no network, a rejected key) is left out for a while. Once a request's
//! `on_text` got text, no other helper is asked, unless
//! [`restart_after_text`](crate::together::Fallback::restart_after_text) is set.
//!
//! ```
//! use automation_assistant::together::Fallback;
//! use automation_assistant::{AutomationAssistantManager, HelperConfig};
//!
//! let manager = AutomationAssistantManager::new(2);
//! let local = manager.spawn(HelperConfig::local().name("local"))?;
//! let mut order = vec![local.helper_id()];
//! match manager.spawn(HelperConfig::chatgpt().name("cloud")) {
//!     Ok(cloud) => order.insert(0, cloud.helper_id()),
//!     // No key in OPENAI_API_KEY, or a build without HTTP or TLS.
//!     Err(error) => println!("without the cloud: {error}"),
//! }
//! # order = vec![local.helper_id()]; // The tests ask no cloud.
//!
//! let fallback = Fallback::new(order);
//! let report = fallback.ask(&manager, "Name a prime number.")?;
//! for tried in &report.tried {
//!     println!("{} did not answer: {}", tried.helper_id, tried.why);
//! }
//! match report.text() {
//!     Some(text) if report.echoed() => println!("no model answered, only an echo: {text}"),
//!     Some(text) => println!("{text}"),
//!     None => println!("no helper answered"),
//! }
//! # assert!(report.echoed());
//! # Ok::<(), automation_assistant::Error>(())
//! ```
