//! Names and signatures of 0.1: configurations, telemetry, reports.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, BackendStats, BackendType, Connections, Debrief,
    Error, Experiment, ExperimentReport, ExperimentRow, FlushReport, Fsync, Health, HelperBuilder,
    HelperConfig, HelperId, ManagerBuilder, Observe, OpikConfig, OpikSink, OpikStats, Price,
    Prices, RateLimiter, Task, Telemetry, TelemetryBuilder, TelemetryStats, TopError, TraceId,
    TraceMode, Usage, WhenResultsFull,
};
use serde_json::Value;

use super::Dummy;

const _: () = {
    let _: fn(&BackendStats) -> f64 = BackendStats::failure_rate;
    let _: fn(BackendType) -> &'static str = BackendType::as_str;
    let _: fn() -> Connections = Connections::new;
    let _: fn(&'static str) -> Result<Debrief, Error> = Debrief::from_path;
    let _: fn(&'static str, fn(u64, u64)) -> Result<Debrief, Error> =
        Debrief::from_path_with_progress;
    let _: fn(&'static [u8]) -> Result<Debrief, Error> = Debrief::from_reader;
    let _: fn(&Debrief) -> u64 = Debrief::total_runs;
    let _: fn(&Debrief) -> u64 = Debrief::total_events;
    let _: fn(&Debrief) -> u64 = Debrief::success_count;
    let _: fn(&Debrief) -> u64 = Debrief::error_count;
    let _: fn(&Debrief) -> f64 = Debrief::failure_rate;
    let _: fn(&Debrief) -> f64 = Debrief::stability_score;
    let _: fn(&Debrief) -> Health = Debrief::health;
    let _: fn(&Debrief) -> &[BackendStats] = Debrief::backends;
    let _: fn(&Debrief) -> &[TopError] = Debrief::top_errors;
    let _: fn(&Debrief) -> u64 = Debrief::tasks_done;
    let _: fn(&Debrief) -> u64 = Debrief::tasks_failed;
    let _: fn(&Debrief) -> String = Debrief::to_text;
    let _: fn(&Debrief) -> String = Debrief::to_markdown;
    let _: fn(&Debrief) -> Value = Debrief::to_json;
    let _: fn(&'static str) -> Experiment = Experiment::new;
    let _: fn(Experiment, &'static str) -> Experiment = Experiment::prompt;
    let _: fn(Experiment, Vec<&'static str>) -> Experiment = Experiment::prompts;
    let _: fn(Experiment, HelperId) -> Experiment = Experiment::helper;
    let _: fn(Experiment, &'static str, fn(&Task) -> f64) -> Experiment = Experiment::score;
    let _: fn(Experiment, Duration) -> Experiment = Experiment::timeout;
    let _: fn(&Experiment, &AutomationAssistantManager) -> Result<ExperimentReport, Error> =
        Experiment::run;
    let _: fn(f64) -> Health = Health::from_failure_rate;
    let _: fn(Health) -> &'static str = Health::as_str;
    let _: fn(HelperBuilder, Dummy) -> HelperBuilder = HelperBuilder::backend;
    let _: fn(HelperBuilder, Telemetry) -> HelperBuilder = HelperBuilder::telemetry;
    let _: fn(HelperBuilder, Arc<dyn Observe>) -> HelperBuilder = HelperBuilder::observer;
    let _: fn(HelperBuilder) -> Result<AutomationHelper, Error> = HelperBuilder::build;
    let _: fn(BackendType) -> HelperConfig = HelperConfig::new;
    let _: fn() -> HelperConfig = HelperConfig::chatgpt;
    let _: fn() -> HelperConfig = HelperConfig::comet;
    let _: fn() -> HelperConfig = HelperConfig::local;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::name;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_concurrent_tasks;
    let _: fn(HelperConfig, Duration) -> HelperConfig = HelperConfig::timeout;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::api_key;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::api_endpoint;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::model;
    let _: fn(HelperConfig, &'static str, u32) -> HelperConfig = HelperConfig::custom_param;
    let _: fn(HelperConfig, Vec<(String, Value)>) -> HelperConfig = HelperConfig::custom_params;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::system_prompt;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::queue_capacity;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_prompt_bytes;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_context_bytes;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_request_bytes;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_reply_bytes;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_results;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_result_bytes;
    let _: fn(HelperConfig, WhenResultsFull) -> HelperConfig = HelperConfig::when_results_full;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::stack_bytes;
    let _: fn(HelperConfig, bool) -> HelperConfig = HelperConfig::count_suspended_time;
    let _: fn(HelperConfig, Prices) -> HelperConfig = HelperConfig::prices;
    let _: fn(HelperConfig, TraceMode) -> HelperConfig = HelperConfig::trace;
    let _: fn(HelperConfig, Duration) -> HelperConfig = HelperConfig::connect_timeout;
    let _: fn(HelperConfig, Duration) -> HelperConfig = HelperConfig::first_byte_timeout;
    let _: fn(HelperConfig, Duration) -> HelperConfig = HelperConfig::idle_timeout;
    let _: fn(HelperConfig, u32) -> HelperConfig = HelperConfig::max_retries;
    let _: fn(HelperConfig, Duration) -> HelperConfig = HelperConfig::max_retry_wait;
    let _: fn(HelperConfig, u32) -> HelperConfig = HelperConfig::max_tool_rounds;
    let _: fn(HelperConfig, usize) -> HelperConfig = HelperConfig::max_tool_output_bytes;
    let _: fn(HelperConfig, u32) -> HelperConfig = HelperConfig::requests_per_minute;
    let _: fn(HelperConfig, u64) -> HelperConfig = HelperConfig::tokens_per_minute;
    let _: fn(HelperConfig, u64) -> HelperConfig = HelperConfig::token_budget;
    let _: fn(HelperConfig, &RateLimiter) -> HelperConfig = HelperConfig::rate_limiter;
    let _: fn(HelperConfig, &Connections) -> HelperConfig = HelperConfig::connections;
    let _: fn(HelperConfig, bool) -> HelperConfig = HelperConfig::allow_insecure_http;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::root_certificates;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::organization;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::project;
    let _: fn(HelperConfig, &'static str) -> HelperConfig = HelperConfig::workspace;
    let _: fn(ManagerBuilder, usize) -> ManagerBuilder = ManagerBuilder::max_helpers;
    let _: fn(ManagerBuilder, Telemetry) -> ManagerBuilder = ManagerBuilder::telemetry;
    let _: fn(ManagerBuilder, Arc<dyn Observe>) -> ManagerBuilder = ManagerBuilder::observer;
    let _: fn(ManagerBuilder, OpikConfig) -> ManagerBuilder = ManagerBuilder::opik;
    let _: fn(ManagerBuilder) -> Result<AutomationAssistantManager, Error> = ManagerBuilder::build;
    let _: fn() -> OpikConfig = OpikConfig::new;
    let _: fn() -> Result<Option<OpikConfig>, Error> = OpikConfig::found;
    let _: fn(OpikConfig, &'static str) -> OpikConfig = OpikConfig::url;
    let _: fn(OpikConfig, &'static str) -> OpikConfig = OpikConfig::api_key;
    let _: fn(OpikConfig, &'static str) -> OpikConfig = OpikConfig::workspace;
    let _: fn(OpikConfig, &'static str) -> OpikConfig = OpikConfig::project;
    let _: fn(OpikConfig, &'static str) -> OpikConfig = OpikConfig::tag;
    let _: fn(OpikConfig, bool) -> OpikConfig = OpikConfig::look_up;
    let _: fn(OpikConfig, bool) -> OpikConfig = OpikConfig::allow_insecure_http;
    let _: fn(OpikConfig, &'static str) -> OpikConfig = OpikConfig::root_certificates;
    let _: fn(OpikConfig, usize) -> OpikConfig = OpikConfig::queue_items;
    let _: fn(OpikConfig, usize) -> OpikConfig = OpikConfig::queue_bytes;
    let _: fn(OpikConfig, &'static str) -> OpikConfig = OpikConfig::spool;
    let _: fn(OpikConfig, u64) -> OpikConfig = OpikConfig::spool_bytes;
    let _: fn(OpikConfig, Duration) -> OpikConfig = OpikConfig::close_timeout;
    let _: fn(OpikConfig, Arc<dyn Observe>) -> OpikConfig = OpikConfig::observer;
    let _: fn(OpikConfig) -> Result<OpikSink, Error> = OpikSink::new;
    let _: fn(&OpikSink, TraceId, &str, f64) -> bool = OpikSink::score;
    let _: fn(&OpikSink, Duration) -> FlushReport = OpikSink::flush;
    let _: fn(&OpikSink) -> OpikStats = OpikSink::stats;
    let _: fn(f64, f64) -> Price = Price::per_million;
    let _: fn(Price, f64) -> Price = Price::cached;
    let _: fn() -> Prices = Prices::new;
    let _: fn(Prices, &'static str, Price) -> Prices = Prices::model;
    let _: for<'a> fn(&'a Prices, &str) -> Option<&'a Price> = Prices::price;
    let _: fn(&Prices, &str, &Usage) -> Option<f64> = Prices::cost;
    let _: fn() -> RateLimiter = RateLimiter::new;
    let _: fn(RateLimiter, u32) -> RateLimiter = RateLimiter::requests_per_minute;
    let _: fn(RateLimiter, u64) -> RateLimiter = RateLimiter::tokens_per_minute;
    let _: fn(RateLimiter, u64) -> RateLimiter = RateLimiter::token_budget;
    let _: fn(&RateLimiter) -> u64 = RateLimiter::tokens_spent;
    let _: fn(&'static str) -> Result<Telemetry, Error> = Telemetry::to_file;
    let _: fn(&'static str) -> TelemetryBuilder = Telemetry::builder;
    let _: fn(&Telemetry) -> &Path = Telemetry::path;
    let _: fn(&Telemetry) -> &str = Telemetry::run_id;
    let _: fn(&Telemetry) -> TelemetryStats = Telemetry::stats;
    let _: fn(&Telemetry) -> Result<(), Error> = Telemetry::sync;
    let _: fn(TelemetryBuilder, u64, u32) -> TelemetryBuilder = TelemetryBuilder::rotate;
    let _: fn(TelemetryBuilder, Fsync) -> TelemetryBuilder = TelemetryBuilder::fsync;
    let _: fn(TelemetryBuilder) -> Result<Telemetry, Error> = TelemetryBuilder::build;
    let _: fn() -> TraceId = TraceId::new;
    let _: fn(TraceMode) -> &'static str = TraceMode::as_str;
    let _ = |x: &BackendStats| {
        let _ = (
            &x.name,
            &x.calls,
            &x.errors,
            &x.avg_latency_ms,
            &x.p50_latency_ms,
            &x.p95_latency_ms,
            &x.prompt_tokens,
            &x.completion_tokens,
            &x.usage_missing,
        );
    };
    let _ = |x: &BackendType| {
        matches!(
            x,
            BackendType::ChatGpt | BackendType::Comet | BackendType::Local | BackendType::Custom
        )
    };
    let _ = |x: &ExperimentReport| {
        let _ = (&x.name, &x.score_names, &x.rows);
    };
    let _ = |x: &ExperimentRow| {
        let _ = (
            &x.helper_id,
            &x.helper,
            &x.model,
            &x.tasks,
            &x.failures,
            &x.latency_p50_ms,
            &x.latency_p95_ms,
            &x.prompt_tokens,
            &x.completion_tokens,
            &x.scores,
        );
    };
    let _ = |x: &FlushReport| {
        let _ = (&x.sent, &x.dropped, &x.pending);
    };
    let _ = |x: &Fsync| matches!(x, Fsync::Never | Fsync::EachLines(_) | Fsync::EachTask);
    let _ = |x: &Health| matches!(x, Health::Ok | Health::Degraded | Health::Critical);
    let _ = |x: &OpikStats| {
        let _ = (
            &x.sent,
            &x.dropped,
            &x.retried,
            &x.pending,
            &x.spooled,
            &x.queue_bytes,
            &x.queue_bytes_max,
            &x.disabled_by,
            &x.last_status,
            &x.last_error,
        );
    };
    let _ = |x: &Price| {
        let _ = (&x.prompt, &x.cached, &x.completion);
    };
    let _ = |x: &TelemetryStats| {
        let _ =
            (&x.lines_written, &x.lines_lost, &x.reopened, &x.rotations, &x.syncs, &x.last_error);
    };
    let _ = |x: &TopError| {
        let _ = (&x.error, &x.error_kind, &x.count);
    };
    let _ = |x: &TraceMode| matches!(x, TraceMode::Off | TraceMode::Metadata | TraceMode::Content);
    let _ = |x: &WhenResultsFull| {
        matches!(x, WhenResultsFull::DropOldest | WhenResultsFull::RefuseTasks)
    };
};
