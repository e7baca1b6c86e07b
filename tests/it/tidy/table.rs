//! The allowed cases of the checks, as data.

use super::checks::Row;

/// Each top-level module and all that it may import, lowest first; the map in `lib.rs` has the
/// same order. A module may import modules above its own row only, and what it may import it
/// does import. (`lib.rs` may import all, and no module may import `lib.rs`.)
#[rustfmt::skip]
pub const IMPORTS: [Row<'_>; 48] = [
    ("text", &[]),
    ("url", &[]),
    ("number", &[]),
    ("calendar", &[]),
    ("percentile", &[]),
    ("backoff", &[]),
    ("splice", &[]),
    ("files", &[]),
    ("lenient", &["number"]),
    ("nesting", &[]),
    ("members", &[]),
    ("sync", &[]),
    ("foreign", &["sync"]),
    ("cancel", &["sync", "foreign"]),
    ("id", &[]),
    ("status", &["id"]),
    ("tool", &["text", "nesting", "foreign"]),
    ("trace", &["id"]),
    ("task_error", &["text"]),
    ("task", &["url", "calendar", "splice", "nesting", "members", "foreign", "id", "tool", "trace", "task_error"]),
    ("error", &["number", "id", "task_error", "task"]),
    ("image_file", &["files", "task", "error"]),
    ("secret", &[]),
    ("env", &["error", "secret"]),
    ("connections", &[]),
    ("rate_limit", &["sync"]),
    ("prices", &["task"]),
    ("backend", &["text", "sync", "cancel", "id", "tool", "task_error", "task"]),
    ("config", &["text", "url", "nesting", "error", "secret", "env", "connections", "rate_limit", "prices", "task", "backend"]),
    ("queue", &["sync", "task"]),
    ("store", &["sync", "foreign", "task_error", "task", "queue"]),
    ("debrief", &["text", "number", "calendar", "percentile", "files", "lenient", "task_error", "error"]),
    ("device", &["text", "number", "calendar", "sync", "tool", "config"]),
    ("event", &["id", "trace", "task_error", "task", "config"]),
    ("suspended", &["sync", "device"]),
    ("observers", &["sync", "foreign", "event", "suspended"]),
    ("telemetry", &["text", "calendar", "files", "sync", "id", "task_error", "task", "error", "event"]),
    ("http", &["text", "url", "number", "calendar", "splice", "files", "sync", "cancel", "error", "env", "connections"]),
    ("engine", &["text", "number", "backoff", "splice", "lenient", "id", "tool", "task_error", "task", "error", "secret", "env", "rate_limit", "backend", "config", "http"]),
    ("opik_account", &["files", "lenient", "error", "env"]),
    ("providers", &["text", "lenient", "members", "task_error", "task", "error", "secret", "env", "backend", "config", "http", "engine", "opik_account"]),
    ("opik", &["url", "calendar", "backoff", "files", "sync", "foreign", "cancel", "id", "trace", "task_error", "task", "error", "secret", "env", "connections", "config", "event", "http", "opik_account"]),
    ("helper", &["sync", "foreign", "cancel", "id", "status", "task_error", "task", "error", "env", "backend", "config", "queue", "store", "event", "observers", "telemetry"]),
    ("manager", &["sync", "foreign", "id", "status", "task", "error", "connections", "backend", "config", "event", "observers", "telemetry", "opik", "helper"]),
    ("coordinate", &["number", "sync", "foreign", "id", "task_error", "task", "error", "device", "event", "suspended", "helper", "manager"]),
    ("experiment", &["text", "percentile", "id", "trace", "task", "error", "config", "manager"]),
    ("guide", &[]),
    ("fuzzing", &["config", "http", "providers", "helper"]),
];

/// Circles between files that are still there. An entry goes when its circle does; no new one
/// is added.
pub const CIRCLES: [&[&str]; 0] = [];

/// Words and the only modules that may name them, as beginnings of paths. The core names no
/// HTTP, no file and no child process; one module each knows the channel and the checker.
pub const NAMED_BY: [(&str, &[&str]); 10] = [
    ("httparse", &["http/"]),
    ("rustls", &["http/"]),
    ("ring", &["http/"]),
    ("webpki", &["http/"]),
    ("webpki_roots", &["http/"]),
    ("base64", &["splice.rs", "http/tunnel.rs"]),
    ("crossbeam_channel", &["queue.rs"]),
    ("rustix", &["device/", "files/"]),
    (
        "fs",
        &[
            "http/roots.rs",
            "opik_account/file.rs",
            "debrief/mod.rs",
            "device/",
            "files/",
            "opik/spool.rs",
            "telemetry/",
        ],
    ),
    ("Command", &["device/termux.rs"]),
];

/// Names that still stand for several types. `OpikSink` and `Tickets` have a twin each for
/// another build; no new one is added.
pub const SHARED_NAMES: [&str; 2] = ["OpikSink", "Tickets"];

/// Files longer than the bound, and why they are.
pub const LONG_FILES: [(&str, &str); 2] = [
    ("tests/it/soak/rogue.rs", "the hostile parts of the soak"),
    ("tests/it/support/server.rs", "the scripted server"),
];
