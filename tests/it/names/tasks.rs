//! Names and signatures of 0.1: managers, helpers, tasks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automation_assistant::{
    Admission, AdmissionControl, AdmissionPolicy, Answer, Attempt, AutomationAssistantManager,
    AutomationHelper, CallContext, CancelGuard, CancelHandle, CancelSignal, DeviceWatch, Error,
    ErrorKind, EventKind, Fact, Fallback, FallbackReport, FinishReason, FnTool, HelperBuilder,
    HelperConfig, HelperId, HelperStatus, HelperStatusReport, ManagerBuilder, Network, OpikSink,
    Pipeline, Priority, Race, Reply, Role, Speech, Stage, Task, TaskError, TaskId, TaskRequest,
    TaskState, Together, Tool, TraceId, Tried, Turn, Usage, Want, WhyNot,
};
use serde_json::Value;

use super::{Dummy, ToolBody};

const _: () = {
    let _: fn(AdmissionPolicy) -> AdmissionControl = AdmissionControl::new;
    let _: fn(AdmissionControl, DeviceWatch) -> AdmissionControl = AdmissionControl::device;
    let _: fn(AdmissionControl, HelperId) -> AdmissionControl = AdmissionControl::local_helper;
    let _: fn(AdmissionControl, Duration) -> AdmissionControl = AdmissionControl::max_wait;
    let _: fn(AdmissionControl, Duration) -> AdmissionControl = AdmissionControl::look_every;
    let _: fn(AdmissionControl, &CancelHandle) -> AdmissionControl =
        AdmissionControl::cancel_handle;
    let _: fn(
        &AdmissionControl,
        &AutomationAssistantManager,
        HelperId,
        &'static str,
    ) -> Result<(HelperId, TaskId), Error> = AdmissionControl::submit;
    let _: fn(
        &AdmissionControl,
        &AutomationAssistantManager,
        &[HelperId],
    ) -> Result<Vec<HelperId>, Error> = AdmissionControl::admitted;
    let _: fn(&Answer) -> Option<&str> = Answer::text;
    let _: fn(&Answer) -> bool = Answer::is_success;
    let _: fn(Option<&'static TaskError>) -> Attempt<'static> = Attempt::new;
    let _: fn(usize) -> AutomationAssistantManager = AutomationAssistantManager::new;
    let _: fn() -> ManagerBuilder = AutomationAssistantManager::builder;
    let _: fn(&AutomationAssistantManager) -> Option<&OpikSink> = AutomationAssistantManager::opik;
    let _: fn(&AutomationAssistantManager) -> usize = AutomationAssistantManager::max_helpers;
    let _: fn(&AutomationAssistantManager) -> usize = AutomationAssistantManager::helper_count;
    let _: fn(&AutomationAssistantManager, HelperConfig) -> Result<HelperId, Error> =
        AutomationAssistantManager::spawn_helper;
    let _: fn(&AutomationAssistantManager, HelperConfig, Dummy) -> Result<HelperId, Error> =
        AutomationAssistantManager::spawn_helper_with;
    let _: fn(&AutomationAssistantManager, HelperId) -> Result<(), Error> =
        AutomationAssistantManager::terminate_helper;
    let _: fn(&AutomationAssistantManager) = AutomationAssistantManager::terminate_all;
    let _: fn(&AutomationAssistantManager, HelperId) -> Option<AutomationHelper> =
        AutomationAssistantManager::get_helper;
    let _: fn(&AutomationAssistantManager, HelperId, &'static str) -> Result<TaskId, Error> =
        AutomationAssistantManager::submit_task;
    let _: fn(
        &AutomationAssistantManager,
        HelperId,
        &'static str,
        Duration,
    ) -> Result<TaskId, Error> = AutomationAssistantManager::submit_task_wait;
    let _: fn(&AutomationAssistantManager, HelperId, TaskId) -> Option<Task> =
        AutomationAssistantManager::get_task_result;
    let _: fn(&AutomationAssistantManager, HelperId, TaskId, Duration) -> Result<Task, Error> =
        AutomationAssistantManager::wait_task;
    let _: fn(&AutomationAssistantManager, &[(HelperId, TaskId)], Duration) -> Result<Task, Error> =
        AutomationAssistantManager::wait_any;
    let _: fn(&AutomationAssistantManager, HelperId, TaskId) -> Option<Task> =
        AutomationAssistantManager::take_task_result;
    let _: fn(&AutomationAssistantManager, HelperId) -> usize =
        AutomationAssistantManager::clear_results;
    let _: fn(&AutomationAssistantManager, HelperId, TaskId) -> bool =
        AutomationAssistantManager::cancel_task;
    let _: fn(&AutomationAssistantManager, HelperId, TaskId) -> Option<TaskState> =
        AutomationAssistantManager::task_state;
    let _: fn(&AutomationAssistantManager, HelperId, TaskId, HelperId) -> Result<(), Error> =
        AutomationAssistantManager::send_result;
    let _: fn(&AutomationAssistantManager) -> Vec<HelperStatusReport> =
        AutomationAssistantManager::get_all_helpers_status;
    let _: fn(HelperConfig) -> Result<AutomationHelper, Error> = AutomationHelper::new;
    let _: fn(HelperConfig) -> HelperBuilder = AutomationHelper::builder;
    let _: fn(&AutomationHelper) -> Result<(), Error> = AutomationHelper::start;
    let _: fn(&AutomationHelper) = AutomationHelper::stop;
    let _: fn(&AutomationHelper, &'static str) -> Result<TaskId, Error> =
        AutomationHelper::submit_task;
    let _: fn(&AutomationHelper, &'static str, Duration) -> Result<TaskId, Error> =
        AutomationHelper::submit_task_wait;
    let _: fn(&AutomationHelper, TaskId) -> Option<Task> = AutomationHelper::get_task_result;
    let _: fn(&AutomationHelper, TaskId, Duration) -> Result<Task, Error> =
        AutomationHelper::wait_task;
    let _: fn(&AutomationHelper, TaskId) -> Option<Task> = AutomationHelper::take_task_result;
    let _: fn(&AutomationHelper) -> usize = AutomationHelper::clear_results;
    let _: fn(&AutomationHelper, TaskId) -> bool = AutomationHelper::cancel_task;
    let _: fn(&AutomationHelper, TaskId) -> Option<TaskState> = AutomationHelper::task_state;
    let _: fn(&AutomationHelper) -> HelperStatusReport = AutomationHelper::get_status;
    let _: fn(&AutomationHelper) -> HelperStatus = AutomationHelper::status;
    let _: fn(&AutomationHelper) -> HelperId = AutomationHelper::helper_id;
    let _: fn(&AutomationHelper) -> &str = AutomationHelper::name;
    let _: fn(&AutomationHelper) -> &str = AutomationHelper::backend_name;
    let _: fn(&CallContext<'static>) -> TaskId = CallContext::task_id;
    let _: fn(&CallContext<'static>) -> HelperId = CallContext::helper_id;
    let _: for<'a> fn(&'a CallContext<'static>) -> &'a str = CallContext::prompt;
    let _: for<'a> fn(&'a CallContext<'static>) -> &'a TaskRequest = CallContext::request;
    let _: for<'a> fn(&'a CallContext<'static>) -> Option<&'a str> = CallContext::system_prompt;
    let _: fn(&CallContext<'static>) -> Option<Instant> = CallContext::deadline;
    let _: fn(&CallContext<'static>) -> Option<Duration> = CallContext::remaining;
    let _: for<'a> fn(&'a CallContext<'static>) -> &'a CancelSignal = CallContext::cancel;
    let _: fn(&CallContext<'static>) -> Result<(), TaskError> = CallContext::check;
    let _: fn(&CallContext<'static>, Duration) -> Result<(), TaskError> = CallContext::pause;
    let _: fn(&CallContext<'static>) -> bool = CallContext::wants_text;
    let _: fn(&CallContext<'static>) -> bool = CallContext::text_was_sent;
    let _: fn(&CallContext<'static>, &str) -> Result<(), TaskError> = CallContext::send_text;
    let _: fn(&CallContext<'static>) = CallContext::begin_attempt;
    let _: fn(&CallContext<'static>, &Attempt<'static>) = CallContext::end_attempt;
    let _: fn() -> CancelHandle = CancelHandle::new;
    let _: fn(&CancelHandle) = CancelHandle::cancel;
    let _: fn(&CancelHandle) -> bool = CancelHandle::is_cancelled;
    let _: fn(&CancelSignal) -> bool = CancelSignal::is_cancelled;
    let _: fn(&CancelSignal, Duration) -> bool = CancelSignal::wait;
    let _: for<'a> fn(&'a CancelSignal, fn()) -> CancelGuard<'a> = CancelSignal::on_cancel;
    let _: fn(Error) -> Option<TaskRequest> = Error::into_request;
    let _: fn(ErrorKind) -> &'static str = ErrorKind::as_str;
    let _: fn(ErrorKind) -> bool = ErrorKind::repeats_without_human;
    let _: fn(EventKind) -> &'static str = EventKind::as_str;
    let _: fn(Vec<HelperId>) -> Fallback = Fallback::new;
    let _: fn(Fallback, f64) -> Fallback = Fallback::reserve_share;
    let _: fn(Fallback, Duration, Duration) -> Fallback = Fallback::cool_down;
    let _: fn(Fallback, bool) -> Fallback = Fallback::restart_after_text;
    let _: fn(&Fallback, &Together<'static>, &TaskRequest) -> Result<FallbackReport, Error> =
        Fallback::run;
    let _: fn(&FallbackReport) -> Option<&str> = FallbackReport::text;
    let _: fn(&FallbackReport) -> Option<HelperId> = FallbackReport::helper;
    let _: fn(FinishReason) -> &'static str = FinishReason::as_str;
    let _: fn(&'static str, &'static str, Value, ToolBody) -> FnTool<ToolBody> = FnTool::new;
    let _: fn(HelperStatus) -> &'static str = HelperStatus::as_str;
    let _: fn(&Pipeline) -> Option<&str> = Pipeline::result;
    let _: fn(&Race) -> Option<&Answer> = Race::winner;
    let _: fn(&'static str) -> Reply = Reply::new;
    let _: fn(Reply, &'static str) -> Reply = Reply::with_model;
    let _: fn(Reply, Usage) -> Reply = Reply::with_usage;
    let _: fn(Reply, FinishReason) -> Reply = Reply::with_finish_reason;
    let _: fn(Reply, &'static str) -> Reply = Reply::with_provider;
    let _: fn(Role) -> &'static str = Role::as_str;
    let _: fn(HelperId, &'static str) -> Stage = Stage::new;
    let _: fn(Stage, &'static str) -> Stage = Stage::context_key;
    let _: fn(&Task) -> bool = Task::is_success;
    let _: fn(&Task) -> Result<u32, TaskError> = Task::parse_result;
    let _: fn(ErrorKind, &'static str) -> TaskError = TaskError::new;
    let _: fn(TaskError, &str) -> TaskError = TaskError::with_message;
    let _: fn(TaskError, u16) -> TaskError = TaskError::with_status;
    let _: fn(TaskError, &str) -> TaskError = TaskError::with_code;
    let _: fn(TaskError, &str) -> TaskError = TaskError::with_request_id;
    let _: fn(TaskError, Duration) -> TaskError = TaskError::with_retry_after;
    let _: fn(TaskError, &'static str) -> TaskError = TaskError::with_partial;
    let _: fn(&TaskError) -> ErrorKind = TaskError::kind;
    let _: fn(&TaskError) -> &str = TaskError::message;
    let _: fn(&TaskError) -> &str = TaskError::summary;
    let _: fn(&TaskError) -> Option<u16> = TaskError::status;
    let _: fn(&TaskError) -> Option<&str> = TaskError::code;
    let _: fn(&TaskError) -> Option<&str> = TaskError::request_id;
    let _: fn(&TaskError) -> Option<Duration> = TaskError::retry_after;
    let _: fn(&TaskError) -> Option<&str> = TaskError::partial;
    let _: fn(TaskId) -> HelperId = TaskId::helper_id;
    let _: fn(&'static str) -> TaskRequest = TaskRequest::new;
    let _: fn(TaskRequest, &'static str, u32) -> TaskRequest = TaskRequest::context;
    let _: fn(TaskRequest, Vec<(String, Value)>) -> TaskRequest = TaskRequest::context_map;
    let _: fn(TaskRequest, &'static str) -> TaskRequest = TaskRequest::system_prompt;
    let _: fn(TaskRequest, Role, &'static str) -> TaskRequest = TaskRequest::turn;
    let _: fn(TaskRequest, Vec<Turn>) -> TaskRequest = TaskRequest::turns;
    let _: fn(TaskRequest, &'static str, u32) -> TaskRequest = TaskRequest::custom_param;
    let _: fn(TaskRequest, FnTool<ToolBody>) -> TaskRequest = TaskRequest::tool;
    let _: fn(TaskRequest, Arc<dyn Tool>) -> TaskRequest = TaskRequest::shared_tool;
    let _: fn(TaskRequest, &'static str, Value) -> TaskRequest = TaskRequest::reply_schema;
    let _: fn(TaskRequest, u32) -> TaskRequest = TaskRequest::max_retries;
    let _: fn(TaskRequest, &'static str) -> TaskRequest = TaskRequest::conversation;
    let _: fn(TaskRequest, &'static str) -> TaskRequest = TaskRequest::trace_tag;
    let _: fn(TaskRequest, TraceId) -> TaskRequest = TaskRequest::trace_id;
    let _: fn(TaskRequest, Priority) -> TaskRequest = TaskRequest::priority;
    let _: fn(TaskRequest, Duration) -> TaskRequest = TaskRequest::timeout;
    let _: fn(TaskRequest, Duration) -> TaskRequest = TaskRequest::deadline;
    let _: fn(TaskRequest, fn(&str)) -> TaskRequest = TaskRequest::on_text;
    let _: fn(TaskRequest, fn(&Task)) -> TaskRequest = TaskRequest::on_done;
    let _: fn(&TaskRequest) -> &str = TaskRequest::prompt;
    let _: fn(&Together<'static>, &[HelperId], &TaskRequest, Want) -> Result<Vec<Answer>, Error> =
        Together::fan_out;
    let _: fn(&Together<'static>, &[HelperId], &TaskRequest) -> Result<Race, Error> =
        Together::race;
    let _: fn(&Together<'static>, &[HelperId], &[TaskRequest]) -> Result<Vec<Answer>, Error> =
        Together::batch;
    let _: fn(&Together<'static>, Vec<Stage>) -> Result<Pipeline, Error> = Together::pipeline;
    let _: fn(&'static AutomationAssistantManager) -> Together<'static> = Together::new;
    let _: fn(Together<'static>, Duration) -> Together<'static> = Together::deadline;
    let _: fn(Together<'static>, bool) -> Together<'static> = Together::count_suspended_time;
    let _: fn(Together<'static>, &CancelHandle) -> Together<'static> = Together::cancel_handle;
    let _: fn(Together<'static>, fn(HelperId, Speech<'_>)) -> Together<'static> = Together::on_text;
    let _: fn(u64, u64) -> Usage = Usage::new;
    let _: fn(&WhyNot) -> &'static str = WhyNot::as_str;
    let _ = |x: &Answer| {
        let _ = (&x.helper_id, &x.outcome);
    };
    let _ = |x: &Attempt<'static>| {
        let _ = (&x.error, &x.http_status, &x.usage, &x.first_byte, &x.waited);
    };
    let _ = |x: &Error| {
        matches!(
            x,
            Error::MaxHelpers { max: _, .. }
                | Error::UnknownHelper(_)
                | Error::UnknownTask(_)
                | Error::ResultDropped(_)
                | Error::WaitTimedOut { waited: _, .. }
                | Error::QueueFull(_)
                | Error::Stopped(_)
                | Error::NotAdmitted { why: _, waited: _, cancelled: _, request: _, .. }
                | Error::NotAsked { why: _, request: _, .. }
                | Error::InboxFull
                | Error::InvalidRequest(_)
                | Error::InvalidConfig(_)
                | Error::MissingKey { variable: _, .. }
                | Error::Unsupported { what: _, feature: _, .. }
                | Error::Io { what: _, source: _, .. }
        )
    };
    let _ = |x: &ErrorKind| {
        matches!(
            x,
            ErrorKind::Timeout
                | ErrorKind::Cancelled
                | ErrorKind::Terminated
                | ErrorKind::Panicked
                | ErrorKind::InvalidRequest
                | ErrorKind::Authentication
                | ErrorKind::PermissionDenied
                | ErrorKind::NotFound
                | ErrorKind::RateLimited
                | ErrorKind::QuotaExceeded
                | ErrorKind::ContextLengthExceeded
                | ErrorKind::ContentFiltered
                | ErrorKind::Truncated
                | ErrorKind::Server
                | ErrorKind::Network
                | ErrorKind::Protocol
                | ErrorKind::ResponseTooLarge
                | ErrorKind::Unsupported
                | ErrorKind::Other
        )
    };
    let _ = |x: &EventKind| {
        matches!(
            x,
            EventKind::HelperSpawn
                | EventKind::BackendCall
                | EventKind::TaskComplete
                | EventKind::HelperStop
                | EventKind::ResultDropped
                | EventKind::Fallback
                | EventKind::Admission
                | EventKind::TraceExport
                | EventKind::Suspended
        )
    };
    let _ = |x: &Fact<'static>| matches!(x, Fact::Count(_) | Fact::Number(_) | Fact::Text(_));
    let _ = |x: &FallbackReport| {
        let _ = (&x.task, &x.tried, &x.ended_early);
    };
    let _ = |x: &FinishReason| {
        matches!(
            x,
            FinishReason::Stop
                | FinishReason::Length
                | FinishReason::ToolCalls
                | FinishReason::ContentFilter
                | FinishReason::Other
        )
    };
    let _ = |x: &HelperStatus| {
        matches!(
            x,
            HelperStatus::Initializing
                | HelperStatus::Ready
                | HelperStatus::Processing
                | HelperStatus::Idle
                | HelperStatus::Error
                | HelperStatus::Terminated
        )
    };
    let _ = |x: &HelperStatusReport| {
        let _ = (
            &x.helper_id,
            &x.name,
            &x.backend,
            &x.status,
            &x.queued_tasks,
            &x.active_tasks,
            &x.completed_tasks,
            &x.failed_tasks,
            &x.kept_results,
            &x.dropped_results,
            &x.threads,
            &x.unjoined_threads,
            &x.callback_panics,
            &x.observer_panics,
        );
    };
    let _ = |x: &Pipeline| {
        let _ = (&x.tasks, &x.stopped_by);
    };
    let _ = |x: &Priority| matches!(x, Priority::High | Priority::Normal | Priority::Low);
    let _ = |x: &Race| {
        let _ = (&x.answers,);
    };
    let _ = |x: &Reply| {
        let _ = (&x.text, &x.model, &x.usage, &x.finish_reason, &x.provider);
    };
    let _ = |x: &Role| matches!(x, Role::System | Role::User | Role::Assistant);
    let _ = |x: &Speech<'static>| matches!(x, Speech::Text(_) | Speech::StartsAgain);
    let _ = |x: &Task| {
        let _ = (
            &x.task_id,
            &x.helper_id,
            &x.prompt,
            &x.context,
            &x.created_at,
            &x.completed_at,
            &x.result,
            &x.error,
            &x.model,
            &x.usage,
            &x.cost,
            &x.finish_reason,
            &x.attempts,
            &x.queue_ms,
            &x.latency_ms,
        );
    };
    let _ =
        |x: &TaskState| matches!(x, TaskState::Queued | TaskState::Running | TaskState::Finished);
    let _ = |x: &Tried| {
        let _ = (&x.helper_id, &x.why);
    };
    let _ = |x: &Turn| {
        let _ = (&x.role, &x.text);
    };
    let _ = |x: &Usage| {
        let _ = (
            &x.prompt_tokens,
            &x.completion_tokens,
            &x.total_tokens,
            &x.cached_tokens,
            &x.reasoning_tokens,
        );
    };
    let _ = |x: &Want| matches!(x, Want::All | Want::First(_));
    let _ =
        |x: &WhyNot| matches!(x, WhyNot::Failed(_) | WhyNot::Refused(_) | WhyNot::CoolingDown(_));
};
