//! What the checks allow, as data.

use super::checks::Row;

/// Each top-level module and all that it may import, lowest first; the map in `lib.rs` has the
/// same order. A module may import modules above its own row only, and what it may import it
/// does import. (`lib.rs` may import all, and no module may import `lib.rs`.)
#[rustfmt::skip]
pub const IMPORTS: [Row<'_>; 33] = [
    ("text", &[]),
    ("number", &[]),
    ("calendar", &[]),
    ("percentile", &[]),
    ("backoff", &[]),
    ("sync", &[]),
    ("cancel", &["sync"]),
    ("id", &[]),
    ("status", &["id"]),
    ("tool", &[]),
    ("trace", &["id"]),
    ("task_error", &["text"]),
    ("task", &["calendar", "id", "tool", "trace", "task_error"]),
    ("error", &["number", "id", "task_error", "task"]),
    ("connections", &[]),
    ("limits", &["sync"]),
    ("prices", &["task"]),
    ("config", &["error", "connections", "limits", "prices"]),
    ("queue", &["sync", "task"]),
    ("store", &["task_error", "task", "queue"]),
    ("debrief", &["text", "number", "percentile", "task_error", "error"]),
    ("device", &["text", "number", "calendar", "sync", "tool", "config"]),
    ("event", &["id", "trace", "task_error", "task", "config"]),
    ("slept", &["sync", "device"]),
    ("observers", &["sync", "event", "slept"]),
    ("telemetry", &["text", "calendar", "sync", "id", "task_error", "task", "error", "event"]),
    ("backend", &["text", "number", "calendar", "backoff", "sync", "cancel", "id", "tool", "task_error", "task", "error", "connections", "limits", "config", "observers"]),
    ("opik", &["calendar", "backoff", "sync", "cancel", "id", "trace", "task_error", "task", "error", "connections", "config", "event", "observers", "backend"]),
    ("helper", &["sync", "cancel", "id", "status", "task_error", "task", "error", "config", "queue", "store", "event", "observers", "telemetry", "backend"]),
    ("manager", &["sync", "id", "status", "task", "error", "connections", "config", "event", "observers", "telemetry", "backend", "opik", "helper"]),
    ("coordinate", &["sync", "id", "task_error", "task", "error", "device", "event", "slept", "observers", "helper", "manager"]),
    ("experiment", &["percentile", "id", "trace", "task", "error", "config", "manager"]),
    ("fuzzing", &["config", "backend", "helper"]),
];

/// Circles between files that are still there. An entry goes when its circle does; no new one
/// is added.
pub const CIRCLES: [&[&str]; 3] = [
    &[
        "backend/build.rs",
        "backend/chat.rs",
        "backend/comet.rs",
        "backend/endpoint.rs",
        "backend/http/mod.rs",
        "backend/openai.rs",
        "backend/receive.rs",
        "backend/run.rs",
        "backend/turn.rs",
    ],
    &["backend/http/call.rs", "backend/http/resolver.rs"],
    &["backend/http/tls.rs", "backend/http/transport.rs"],
];

/// Words and the only modules that may name them, as beginnings of paths. The core names no
/// HTTP, no file and no child process; one module each knows the channel and the checker.
pub const NAMED_BY: [(&str, &[&str]); 9] = [
    ("ureq", &["backend/http/"]),
    ("rustls", &["backend/http/"]),
    ("ring", &["backend/http/"]),
    ("webpki", &["backend/http/"]),
    ("webpki_roots", &["backend/http/"]),
    ("crossbeam_channel", &["queue.rs"]),
    ("rustix", &["device/"]),
    (
        "fs",
        &[
            "backend/http/roots.rs",
            "backend/opik_file.rs",
            "debrief/mod.rs",
            "device/",
            "opik/spool.rs",
            "telemetry/",
        ],
    ),
    ("Command", &["device/termux.rs"]),
];

/// Files longer than the bound, and why they are.
pub const LONG_FILES: [(&str, &str); 10] = [
    ("src/config/mod.rs", "the setters of HelperConfig; to be split by concern"),
    ("src/store.rs", "lists and hasher by hand; to be made plain"),
    ("src/task/request.rs", "setters and checks; to be split"),
    ("src/telemetry/file.rs", "rotation; to be split"),
    ("tests/it/core_more.rs", "to be split by behaviour"),
    ("tests/it/examples.rs", "to be split"),
    ("tests/it/soak/rogue.rs", "the hostile parts of the soak"),
    ("tests/it/support/server.rs", "the scripted server"),
    ("tests/it/telemetry.rs", "to be split by behaviour"),
    ("tests/shuttle.rs", "all models, with what they share"),
];
