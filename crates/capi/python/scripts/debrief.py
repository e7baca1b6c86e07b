#!/usr/bin/env python3
"""The report on an audit file: on the console, and as Markdown in docs/debrief/latest.md.

debrief.py [AUDIT_FILE] [--out FILE]
"""

import argparse
import json
import os
import sys
from typing import Any, Dict, List

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from automation_assistant import _arguments, _library  # noqa: E402
from telemetry import DEFAULT_AUDIT_PATH  # noqa: E402

DEFAULT_REPORT_PATH = "docs/debrief/latest.md"
HEALTH = {"ok": "🟢 OK", "degraded": "🟡 Degraded", "critical": "🔴 Critical"}
RULE = "=" * 68


def load_telemetry(path: str = DEFAULT_AUDIT_PATH) -> List[Dict[str, Any]]:
    """The events of an audit file; none where there is no file. Lines that are no JSON are skipped."""
    entries = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    entries.append(entry)
    except FileNotFoundError:
        pass
    return entries


def analyze_telemetry(entries: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Counts and latencies, by the library's own report. Rates are fractions from 0 to 1."""
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    debrief = _library.make("debrief_new_from_lines", *_arguments(lines))
    try:
        report = json.loads(_library.text("debrief_json", debrief))
    finally:
        _library.free("debrief", debrief)
    names = ("total_events", "success_count", "error_count", "failure_rate", "stability_score", "health")
    per_backend = {
        name: {
            "count": stats["calls"],
            "success": stats["calls"] - stats["errors"],
            "errors": stats["errors"],
            **{key: stats[key] for key in
               ("failure_rate", "avg_latency_ms", "p50_latency_ms", "p95_latency_ms")},
        }
        for name, stats in report["backends"].items()
    }
    return {
        "total_runs": report["total_runs"],
        "overall": {name: report[name] for name in names},
        "per_backend": per_backend,
        "top_errors": report["top_errors"],
    }


def _percent(rate: float) -> str:
    return f"{rate * 100:.2f}%"


def _overall(analysis):
    overall = analysis["overall"]
    return [
        ("Total Runs", analysis["total_runs"]),
        ("Total Events", overall["total_events"]),
        ("Success", overall["success_count"]),
        ("Errors", overall["error_count"]),
        ("Failure Rate", _percent(overall["failure_rate"])),
    ]


def _health(analysis):
    rate = analysis["overall"]["failure_rate"]
    return HEALTH["ok" if rate < 0.05 else "degraded" if rate <= 0.20 else "critical"]


def generate_markdown_report(analysis: Dict[str, Any]) -> str:
    lines = ["# Automation Assistant Telemetry Debrief", "", f"**Overall Health:** {_health(analysis)}", ""]
    lines += [f"**{name}:** {value}  " for name, value in _overall(analysis)]
    lines += ["", "## Backends", "", "| Backend | Calls | Errors | Failure | avg ms | p50 ms | p95 ms |",
              "|---|---|---|---|---|---|---|"]
    for name, stats in analysis["per_backend"].items():
        times = " | ".join(f"{stats.get(key, 0.0):.1f}" for key in
                           ("avg_latency_ms", "p50_latency_ms", "p95_latency_ms"))
        failure = _percent(stats["errors"] / stats["count"] if stats["count"] else 0.0)
        lines.append(f"| {name} | {stats['count']} | {stats['errors']} | {failure} | {times} |")
    if analysis.get("top_errors"):
        lines += ["", "## Top Errors", ""]
        lines += [f"- {error['count']} × {error['error']}" for error in analysis["top_errors"]]
    return "\n".join(lines) + "\n"


def _console_report(analysis: Dict[str, Any]) -> str:
    lines = [RULE, "Automation Assistant Telemetry Debrief", RULE, "", f"Overall Health: {_health(analysis)}"]
    lines += [f"{name}: {value}" for name, value in _overall(analysis)] + ["", "Per-Backend Stats:"]
    for name, stats in analysis["per_backend"].items():
        lines += [
            f"  {name}:",
            f"    Calls: {stats['count']}, Errors: {stats['errors']}, Failure: {_percent(stats['failure_rate'])}",
            f"    Latency: avg={stats['avg_latency_ms']:.1f}ms, p50={stats['p50_latency_ms']:.1f}ms, "
            f"p95={stats['p95_latency_ms']:.1f}ms",
        ]
    return "\n".join(lines)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description="The report on an audit file.")
    parser.add_argument("audit_file", nargs="?", default=DEFAULT_AUDIT_PATH)
    parser.add_argument("--out", default=DEFAULT_REPORT_PATH)
    options = parser.parse_args(arguments)
    analysis = analyze_telemetry(load_telemetry(options.audit_file))
    print(_console_report(analysis))
    folder = os.path.dirname(options.out)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(options.out, "w", encoding="utf-8") as file:
        file.write(generate_markdown_report(analysis))
    print(f"\n✅ Detailed report saved to: {options.out}\n{RULE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
