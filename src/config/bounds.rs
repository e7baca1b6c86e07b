//! The bounds of a helper and its times, with their defaults.

use std::time::Duration;

/// Default bound on tasks waiting at one helper.
pub const DEFAULT_QUEUE_CAPACITY: usize = 256;
/// Default bound on prompt, system prompt and earlier turns together, in bytes (1 MiB, about
/// 250,000 tokens of English).
pub const DEFAULT_MAX_PROMPT_BYTES: usize = 1 << 20;
/// Default bound on the context, in bytes of JSON (256 KiB).
pub const DEFAULT_MAX_CONTEXT_BYTES: usize = 256 << 10;
/// Default bound on what a request holds beside prompt and pictures: context, parameters and
/// reply schema, in bytes of JSON (1 MiB).
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 1 << 20;
/// Default bound on each picture of a request, in bytes (5 MiB: Anthropic's limit).
pub const DEFAULT_MAX_IMAGE_BYTES: usize = 5 << 20;
/// Default bound on the pictures of all tasks queued at one helper, in bytes (80 MiB: one request
/// with the maximum number of pictures of maximum size).
pub const DEFAULT_MAX_QUEUED_IMAGE_BYTES: usize = 16 * DEFAULT_MAX_IMAGE_BYTES;
/// Default bound on one reply from the network, in bytes (4 MiB).
pub const DEFAULT_MAX_REPLY_BYTES: usize = 4 << 20;
/// Default bound on finished tasks kept by one helper.
pub const DEFAULT_MAX_RESULTS: usize = 1024;
/// Default bound on the text of finished tasks kept by one helper, in bytes (16 MiB).
pub const DEFAULT_MAX_RESULT_BYTES: usize = 16 << 20;
/// Default stack of a helper's thread, in bytes (1 MiB of address space).
///
/// Only pages that are touched take memory: an HTTPS call touches 58 KB in a size build and
/// 152 KB in a debug build; tools and callbacks come on top.
pub const DEFAULT_STACK_BYTES: usize = 1 << 20;
/// Smallest accepted stack, in bytes (320 KiB of address space): a debug build needs 256 KiB for
/// JSON of the maximum depth, plus a quarter.
pub const MIN_STACK_BYTES: usize = 320 << 10;
/// Most threads that one helper may have.
pub const MAX_CONCURRENT_TASKS: usize = 256;
/// Longest helper name, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// Default limit on name look-up, connecting and TLS together.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Default number of retries after a failed call.
pub const DEFAULT_MAX_RETRIES: u32 = 2;
/// Longest wait that a server may ask for before a retry; if it asks for more, the task ends with
/// an error that states the wait.
pub const DEFAULT_MAX_RETRY_WAIT: Duration = Duration::from_secs(120);
/// Default bound on the rounds of tool calls within one task.
pub const DEFAULT_MAX_TOOL_ROUNDS: u32 = 8;
/// Default bound on one tool's output as sent to the model, in bytes (64 KiB).
pub const DEFAULT_MAX_TOOL_OUTPUT_BYTES: usize = 64 << 10;

/// Default limit on a task, for providers without one of their own.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// Default limit on silence within an answer from a cloud service.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
