//! Protection of keys, prompts, files and connections, and its limits.
//!
//! - **Keys** never appear in `Debug`, errors, panics, telemetry, traces, URLs, or the environment
//!   of a child process. The values of further headers, and of the query of `api_endpoint` (but
//!   `api-version`), are keys too. Redirects are not followed. Over plain http a key goes to loopback
//!   only, unless `allow_insecure_http` is set; a proxy never sees one.
//! - **A server's error texts** are kept without key, prompt, context, tools' results and replies,
//!   as they are or escaped as in JSON, a URL or HTML: texts are compared by their letters and digits. Shorter ones stay:
//!   texts and numbers of fewer than four letters or digits, parts of a text of fewer than twelve
//!   (a key of fewer goes where it is a word). Custom parameters and schemas stay, as settings. A test
//!   plants a key, a prompt and a reply on every path and searches all that comes out
//!   (`tests/it/secrets`).
//! - **Prompts and replies** are never in telemetry, and in traces only by `TraceMode::Content`.
//!   `Task` and `TaskRequest` hold them, and a serialized `Task` shows them: mind where you send those.
//! - **Proxies** are named by the environment alone: the first that is set of `ALL_PROXY`,
//!   `HTTPS_PROXY` and `HTTP_PROXY` (in lower case too) serves http and https endpoints alike, unlike
//!   with curl, except for the hosts in `NO_PROXY`.
//! - **TLS** is verified always; there is no switch for it. Roots can be replaced by a PEM file.
//! - **Input from outside** is bounded (replies, lines, nesting, waits) and parsed into typed
//!   values; header and JSON injection are refused. The audit file and the spool are made with mode
//!   0600 (a spool that others may read or write is set to it, or rejected), and a symbolic link in
//!   their place is not followed; one with further names (hard links) is never cut. Nothing that is
//!   opened is waited for: a pipe in the place of any file is an error.
//! - **Files that several processes write** are guarded by the kernel's advisory locks, so a
//!   process that is killed leaves none. Rotation locks the empty `NAME.lock` beside the file and
//!   the folder; while another holds those, and on a file system without locks, the file is written
//!   on and that is counted (`TelemetryStats::rotations_skipped`).
//! - `unsafe_code` is forbidden in this crate.
//!
//! Not protected: memory is not wiped; a device's other users with root, a debugger, or a core dump
//! see everything; a model's answer is foreign text, so treat tool arguments as hostile. The embedded
//! engine and `AiBackend`s of yours run in your process, with its rights.
//!
//! To report a weakness, open a private security advisory at this repository's host, or write to
//! its maintainers; do not open a public issue first.
//!
//! ```
//! use automation_assistant::HelperConfig;
//!
//! let config = HelperConfig::chatgpt().api_key("sk-secret");
//! assert!(!format!("{config:?}").contains("sk-secret"));
//! ```
