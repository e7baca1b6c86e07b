//! Traces in Opik: requests, times and costs in a browser.
//!
//! Start an Opik of your own (in a clone of comet-ml/opik: `./opik.sh`; it answers at
//! `http://localhost:5173`), then these. Not run by the gate: it has no Opik.
//!
//! ```text
//! export OPIK_URL_OVERRIDE=http://localhost:5173/api
//! export OPIK_PROJECT_NAME=experiments
//! cargo run --release --example experiment
//! ```
//!
//! The program prints a table (model, p50 and p95, tokens, scores) and says how many traces and
//! scores were sent and dropped. In Opik, open the project `experiments` and filter by the tag
//! `capitals and sums`: one trace a prompt, its span with model, provider and tokens, its scores
//! beside it. With Comet's cloud, set `OPIK_API_KEY` (and `OPIK_WORKSPACE`) instead.
//!
//! In a program:
//! `AutomationAssistantManager::builder().opik(OpikConfig::new().spool("traces.jsonl"))`. Comet
//! helpers then trace metadata and usage; others with `.trace(TraceMode::Metadata)`; prompts and
//! replies only with `TraceMode::Content`. One sink thread per manager, started by the first helper
//! that traces; a bounded queue that drops the oldest and counts it; a sink that fails never fails
//! or slows a task. A process that is killed loses the traces that are neither sent nor in the
//! spool: those of the last 2 s, and, while a batch is in flight, that batch and all later ones. Each
//! request of a batch (traces, spans, scores) takes up to 30 s if Opik accepts it and stays silent,
//! and up to 5 s if no connection comes up. A web page or a redirect in the place of Opik's reply (a
//! network's login, say) accepts nothing: traces wait as if Opik could not be reached. Nothing here
//! was run against a live Opik by its authors: requests are held against its published contract,
//! and a stand-in plays each status.
//!
//! ```
//! use automation_assistant::HelperConfig;
//! use automation_assistant::opik::TraceMode;
//!
//! let config = HelperConfig::local().trace(TraceMode::Metadata);
//! # let _ = config;
//! ```
