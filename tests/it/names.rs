//! Every public name and signature of 0.1, until 0.3: what does not compile here breaks programs.
//! Left out are what 0.2 takes away: `TaskRequest::clone_without_callbacks`, its getters in `_ref`,
//! and the fields of `Event`. Written from the documentation of 0.1.0; nothing is added to it.
#![allow(unused_imports, reason = "an import is the check of a name")]
#![allow(clippy::type_complexity, reason = "signatures are as long as they are")]

mod device;
mod setup;
mod tasks;

use automation_assistant::{
    Admission, AdmissionControl, AdmissionPolicy, AiBackend, Answer, Attempt,
    AutomationAssistantManager, AutomationHelper, BackendStats, BackendType, Battery,
    BatterySource, CallContext, CancelGuard, CancelHandle, CancelSignal, ClockGap, ClockReading,
    ClockSource, CloudAction, Connections, DEFAULT_AUDIT_PATH, DEFAULT_CLOSE_TIMEOUT,
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_EXPERIMENT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES,
    DEFAULT_MAX_HELPERS, DEFAULT_MAX_PROMPT_BYTES, DEFAULT_MAX_REPLY_BYTES,
    DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS, DEFAULT_MAX_RETRIES, DEFAULT_MAX_RETRY_WAIT,
    DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS, DEFAULT_PROBE_LIMIT,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_SNAPSHOT_AGE, DEFAULT_SPOOL_BYTES, DEFAULT_STACK_BYTES,
    DEFAULT_TOGETHER_DEADLINE, DEFAULT_TRACE_QUEUE_BYTES, DEFAULT_TRACE_QUEUE_ITEMS, Debrief,
    DeviceProfile, DeviceReader, DeviceSnapshot, DeviceWatch, Error, ErrorKind, Event, EventKind,
    Experiment, ExperimentReport, ExperimentRow, Fact, Fallback, FallbackReport, FinishReason,
    FlushReport, FnTool, Fsync, Health, HelperBuilder, HelperConfig, HelperId, HelperStatus,
    HelperStatusReport, INBOX_BYTES_MAX, INBOX_MESSAGES_MAX, Load, MAX_CONCURRENT_TASKS,
    MAX_NAME_BYTES, MIN_CLOCK_GAP, MIN_STACK_BYTES, ManagerBuilder, Memory, Network, Observe,
    OpikConfig, OpikSink, OpikStats, ParseIdError, ParseTraceIdError, Pipeline, Pressure, Price,
    Prices, Priority, ProcessMemory, Race, RateLimiter, Reading, Reply, Role, Speech, Stage,
    Storage, SuspendWatch, Task, TaskError, TaskId, TaskRequest, TaskState, Telemetry,
    TelemetryBuilder, TelemetryStats, Temperature, ThermalZone, Together, Tool, TopError, TraceId,
    TraceMode, Tried, Turn, Usage, Want, WhenResultsFull, WhyNot, Wifi, compute_stability_score,
    create_chatgpt_helper, create_comet_helper, create_local_helper, device_tools,
};

/// A backend, where a signature wants one.
struct Dummy;

impl AiBackend for Dummy {
    fn name(&self) -> &str {
        "dummy"
    }

    fn process(&self, _: &CallContext<'_>) -> Result<Reply, TaskError> {
        Ok(Reply::new(""))
    }
}

/// The closure of a tool.
type ToolBody = fn(&serde_json::Value) -> Result<String, String>;

type Create = fn(&AutomationAssistantManager, &str, &str) -> Result<HelperId, Error>;

const _: () = {
    let _: [Create; 2] = [create_chatgpt_helper, create_comet_helper];
    let _: fn(&AutomationAssistantManager, &str) -> Result<HelperId, Error> = create_local_helper;
    let _: fn(u64, u64) -> f64 = compute_stability_score;
    let _ = device_tools;
};
