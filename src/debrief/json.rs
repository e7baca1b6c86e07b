//! The report as JSON.

use serde_json::{Map, Value, json};

use super::stats::{BackendStats, TimePart, TopError};
use super::tallies::Oddities;
use super::{Debrief, advice};

pub(super) fn report(debrief: &Debrief) -> Value {
    let counts = &debrief.counts;
    let backends: Map<String, Value> =
        debrief.backends.iter().map(|stats| (stats.name.clone(), backend(stats))).collect();
    let times: Map<String, Value> =
        debrief.times.iter().map(|part| (part.key.to_owned(), time(part))).collect();
    let top_errors: Vec<_> = debrief.top_errors.iter().map(top_error).collect();
    let fallbacks: Vec<_> = counts
        .fallbacks
        .list
        .iter()
        .map(|([from, to, why], count)| json!({"from": from, "to": to, "why": why, "count": count}))
        .collect();
    let admissions: Vec<_> = counts
        .admissions
        .list
        .iter()
        .map(|([decision, pressure, _], count)| {
            json!({"decision": decision, "pressure": pressure, "count": count})
        })
        .collect();
    let kinds: Map<String, Value> =
        counts.kinds.iter().map(|kind| (kind.name.clone(), Value::from(kind.events))).collect();
    let mut report = Map::new();
    let mut set = |key: &str, value: Value| report.insert(key.to_owned(), value);
    set("total_runs", debrief.total_runs().into());
    set("total_events", debrief.total_events().into());
    set("success_count", debrief.success_count().into());
    set("error_count", debrief.error_count().into());
    set("failure_rate", debrief.failure_rate().into());
    set("stability_score", debrief.stability_score().into());
    set("health", debrief.health().as_str().into());
    set("backends", backends.into());
    set("top_errors", top_errors.into());
    set("other_errors", counts.other_errors.into());
    set("error_kinds", kinds.into());
    set("tasks", json!({"done": counts.tasks.done, "failed": counts.tasks.failed}));
    if counts.echoed > 0 {
        set("echoed_tasks", counts.echoed.into());
    }
    set("attempts", json!({"calls": counts.attempts.total(), "retried": counts.retried}));
    set("tokens", tokens(debrief));
    set("cost", cost(debrief));
    set("times", times.into());
    set("fallbacks", fallbacks.into());
    set("admissions", admissions.into());
    let others = debrief.companion_events().into_iter();
    let others: Map<String, Value> =
        others.map(|(event, count)| (event.to_owned(), count.into())).collect();
    set("other_events", others.into());
    set("trace_export", traces(debrief));
    set("results_dropped", counts.results_dropped.into());
    set("not_asked", counts.not_asked.into());
    set("unjoined_threads", counts.unjoined.into());
    set("runs", runs(debrief));
    set("lines", lines(debrief));
    set("recommendations", advice::sentences(debrief).into());
    Value::Object(report)
}

fn backend(stats: &BackendStats) -> Value {
    let mut backend = json!({
        "calls": stats.calls,
        "errors": stats.errors,
        "failure_rate": stats.failure_rate(),
        "avg_latency_ms": stats.avg_latency_ms,
        "p50_latency_ms": stats.p50_latency_ms,
        "p95_latency_ms": stats.p95_latency_ms,
        "p99_latency_ms": stats.p99_latency_ms,
        "max_latency_ms": stats.max_latency_ms,
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.completion_tokens,
        "usage_missing": stats.usage_missing,
    });
    if stats.oddities.count > 0 {
        let Oddities { count, calls } = stats.oddities;
        backend["oddities"] = json!({"count": count, "calls": calls});
    }
    backend
}

fn top_error(error: &TopError) -> Value {
    json!({"error": error.error, "error_kind": error.error_kind, "count": error.count})
}

fn time(part: &TimePart) -> Value {
    json!({
        "count": part.count,
        "total_ms": part.total_ms,
        "p50_ms": part.p50_ms,
        "p95_ms": part.p95_ms,
    })
}

fn tokens(debrief: &Debrief) -> Value {
    let tokens = &debrief.counts.tokens;
    json!({
        "prompt": tokens.prompt,
        "completion": tokens.completion,
        "told": tokens.reported,
        "missing": tokens.missing,
    })
}

/// `total` is null where nothing was priced: that is not free.
fn cost(debrief: &Debrief) -> Value {
    let costs = &debrief.counts.costs;
    json!({
        "total": (costs.priced > 0).then(|| costs.nano as f64 / 1e9),
        "priced": costs.priced,
        "unpriced": costs.unpriced,
        "usage_missing": costs.usage_missing,
    })
}

fn traces(debrief: &Debrief) -> Value {
    let traces = &debrief.counts.traces;
    json!({"sent": traces.sent, "dropped": traces.dropped, "retried": traces.retried})
}

fn runs(debrief: &Debrief) -> Value {
    let runs = &debrief.counts.runs;
    json!({
        "total_is_lower_bound": runs.at_least,
        "ended": runs.ended,
        "unended": runs.unended,
        "missing_lines": runs.missing_lines,
    })
}

fn lines(debrief: &Debrief) -> Value {
    let lines = &debrief.counts.lines;
    json!({
        "broken": lines.broken,
        "too_long": lines.too_long,
        "foreign": lines.foreign,
        "mended": lines.mended,
        "nul_bytes": lines.nul_bytes,
        "torn_end": lines.torn_end,
        "tail_repairs": lines.repairs,
        "bytes_dropped": lines.bytes_dropped,
        "lost": lines.lost,
        "reopened": lines.reopened,
    })
}
