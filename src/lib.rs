//! AI helpers for small programs: OS threads, a channel, blocking clients, no async runtime.

mod backend;
mod cancel;
mod config;
mod coordinate;
mod debrief;
mod device;
mod error;
mod event;
mod helper;
mod id;
mod manager;
mod observers;
mod queue;
mod status;
mod store;
mod sync;
mod task;
mod task_error;
mod telemetry;
mod tool;

pub use backend::{AiBackend, Attempt, CallContext, Reply};
pub use cancel::{CancelGuard, CancelSignal};
pub use config::{
    BackendType, DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES, DEFAULT_MAX_PROMPT_BYTES,
    DEFAULT_MAX_REPLY_BYTES, DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS, DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_RETRY_WAIT, DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_STACK_BYTES, HelperConfig, MAX_CONCURRENT_TASKS,
    MAX_NAME_BYTES, MIN_STACK_BYTES, WhenResultsFull,
};
pub use coordinate::{
    AdmissionControl, Answer, CancelHandle, DEFAULT_TOGETHER_DEADLINE, Fallback, FallbackReport,
    Pipeline, Race, Speech, Stage, Together, Tried, Want, WhyNot,
};
pub use debrief::{BackendStats, Debrief, Health, TopError, compute_stability_score};
pub use device::{
    Admission, AdmissionPolicy, Battery, BatterySource, ClockGap, ClockReading, ClockSource,
    CloudAction, DEFAULT_PROBE_LIMIT, DEFAULT_SNAPSHOT_AGE, DeviceProfile, DeviceReader,
    DeviceSnapshot, DeviceWatch, Load, MIN_CLOCK_GAP, Memory, Network, Pressure, ProcessMemory,
    Reading, Storage, SuspendWatch, Temperature, ThermalZone, Wifi, device_tools,
};
pub use error::Error;
pub use event::{Event, EventKind, Fact, Observe};
pub use helper::{AutomationHelper, HelperBuilder, INBOX_BYTES_MAX, INBOX_MESSAGES_MAX};
pub use id::{HelperId, ParseIdError, TaskId};
pub use manager::{
    AutomationAssistantManager, DEFAULT_MAX_HELPERS, ManagerBuilder, create_chatgpt_helper,
    create_comet_helper, create_local_helper,
};
pub use status::{HelperStatus, HelperStatusReport};
pub use task::{FinishReason, Priority, Role, Task, TaskRequest, TaskState, Turn, Usage};
pub use task_error::{ErrorKind, TaskError};
pub use telemetry::{DEFAULT_AUDIT_PATH, Fsync, Telemetry, TelemetryBuilder, TelemetryStats};
pub use tool::{FnTool, Tool};
