#!/usr/bin/env python3
"""Writes the audit file of a made-up week to standard output: tests/report/week.py > week.jsonl
An argument is the number of weeks, each with the same events; 223 make 2 million lines.

What happens in it, all by a fixed seed, so that every run writes the same file:

  every day    load follows the day: little at night, most in the afternoon; about 2 % of calls
               meet a rate limit and are repeated; a program that starts anew some times a day
  Tuesday      the program is killed at noon: no run_end, and a torn end that is cut off later
  Wednesday    an outage of one provider from 14:10 to 15:40: server errors, time-outs,
               fallbacks to the model on the device
  Friday       one model is four times as slow from 9:00 to 17:00
  Saturday     the device is offline from 23:00 to 6:00: network errors, tasks that wait, and
               two sleeps
"""

import datetime
import json
import random
import sys

START = 1_763_337_600  # Monday, 17 November 2025, 0:00 UTC
HOUR, DAY = 3600, 86_400
chance = random.Random(20_251_117)
lines = []  # moment, day of the run, its clock, the fields

# Name, share of tasks, median latency in ms, price of 1,000 tokens (None: not on the list).
BACKENDS = [
    ("ChatGPT (gpt-4o-mini)", 0.45, 900, 0.0004),
    ("Anthropic (claude-sonnet)", 0.25, 2600, 0.009),
    ("Comet (llama-3.1-70b)", 0.10, 1700, None),
    ("Local (qwen3-0.6b)", 0.20, 420, None),
]
LOCAL = BACKENDS[3]


class Run:
    """One run of the program: its lines carry its id and a sequence number."""

    def __init__(self, at):
        self.day, second = divmod(int(at) - START, DAY)
        self.clock = f"{second // HOUR:02}{second // 60 % 60:02}{second % 60:02}"
        self.seq, self.tasks = 0, 0
        for name, *_ in BACKENDS:
            self.line(at, "helper_spawn", backend=name, latency_ms=0.08, success=True)

    def line(self, at, event, **fields):
        self.seq += 1
        fields = json.dumps({"event": event, **fields, "seq": self.seq}, separators=(",", ":"), ensure_ascii=False)
        lines.append((at, self.day, self.clock, fields[1:]))


def state(at, backend):
    """How probable each failure is, and how slow a call: (kind, probability), factor."""
    day, hour = int(at - START) // DAY, (at - START) % DAY / HOUR
    name = backend[0]
    if backend is not LOCAL and ((day == 5 and hour >= 23) or (day == 6 and hour < 6)):
        return [("network", 0.97)], 1.0
    if name.startswith("ChatGPT") and day == 2 and 14 + 1 / 6 <= hour < 15 + 2 / 3:
        return [("server", 0.6), ("timeout", 0.25)], 1.5
    if name.startswith("Anthropic") and day == 4 and 9 <= hour < 17:
        return [("timeout", 0.03), ("rate_limited", 0.01)], 4.0
    if backend is LOCAL:
        return [("timeout", 0.002)], 1.0
    return [("rate_limited", 0.02), ("server", 0.003), ("context_length_exceeded", 0.001)], 1.0


ERRORS = {
    "network": ("the connection failed", None, 25),
    "server": ("the server failed (status 503)", 503, 180),
    "timeout": ("the task ran out of time", None, 30_000),
    "rate_limited": ("the provider asks to slow down", 429, 120),
    "context_length_exceeded": ("the prompt is too long for the model", 400, 210),
}
FINAL = {"timeout", "context_length_exceeded"}


def task(run, at, backend, fell_back=False):
    name, _, median, price = backend
    run.tasks += 1
    helper = f"{BACKENDS.index(backend):08x}"
    ids = {"helper_id": helper, "backend": name, "task_id": f"{helper}-{run.tasks:08x}"}
    queue, waited, spent = chance.expovariate(1 / 3), 0.0, 0.0
    prompt, completion = int(chance.lognormvariate(6, 0.7)), int(chance.lognormvariate(4.8, 0.6))
    tokens = {} if name.startswith("Comet") else {"prompt_tokens": prompt, "completion_tokens": completion}
    for attempt in (1, 2, 3):
        kinds, factor = state(at, backend)
        roll, failed = chance.random(), None
        for kind, probability in kinds:
            if roll < probability:
                failed = kind
                break
            roll -= probability
        extra = {"attempt": attempt, **({"waited_ms": round(waited, 3)} if waited else {})}
        if failed:
            text, status, base = ERRORS[failed]
            latency = base if failed == "timeout" else base * chance.lognormvariate(0, 0.4)
            error = {"error": text, "error_kind": failed, **({"http_status": status} if status else {})}
            end, tokens_sent = {"success": False, **error}, {}
        else:
            latency = median * factor * chance.lognormvariate(0, 0.55)
            first = latency * chance.uniform(0.15, 0.45)
            end, tokens_sent = {"success": True}, tokens
            extra.update({"http_status": 200, "first_byte_ms": round(first, 3)})
        spent += latency + waited
        at += (latency + waited) / 1e3
        run.line(at, "backend_call", **ids, latency_ms=round(latency, 3), **end, **extra, **tokens_sent)
        if not failed or failed in FINAL:
            break
        waited = 1000.0 * 2**attempt * chance.uniform(0.5, 1)
    cost = {"cost_nano": int((prompt + completion) * price * 1e6)} if price and not failed else {}
    run.line(at, "task_complete", **ids, latency_ms=round(spent, 3), **end, attempt=attempt,
             queue_ms=round(queue, 3), **tokens_sent, **cost)
    if failed in ("network", "server") and not fell_back:
        run.line(at, "fallback", **{"from": helper, "from_name": name.split()[0].lower(), "to": "00000003",
                                    "to_name": "on device", "why": failed})
        task(run, at, LOCAL, fell_back=True)


def main():
    run = None
    starts = sorted(START + day * DAY + hour * HOUR + chance.randrange(1800)
                    for day in range(7) for hour in (0, 7, 13, 19))
    killed = START + DAY + 12 * HOUR
    for hour in range(7 * 24):
        of_day = hour % 24
        load = 8 + 60 * max(0.0, 1 - abs(of_day - 15) / 9) * (0.45 if hour // 24 >= 5 else 1)
        for second in sorted(chance.uniform(0, HOUR) for _ in range(int(load * chance.uniform(0.8, 1.2)))):
            at = START + hour * HOUR + second
            if run and killed and at >= killed:
                run, killed = None, None
                starts = [at + 1, *[start for start in starts if start > at]]
                continue
            if starts and at >= starts[0]:
                if run:
                    run.line(at, "helper_stop", backend=LOCAL[0], latency_ms=1.2)
                    run.line(at, "run_end", lines_written=run.seq, lines_lost=0)
                was_killed = run is None and hour > 12
                starts.pop(0)
                run = Run(at)
                if was_killed:
                    run.line(at, "tail_repaired", bytes_dropped=117)
            if run is None:
                run = Run(at)
            task(run, at, chance.choices(BACKENDS, [share for _, share, *_ in BACKENDS])[0])
            if chance.random() < 0.02:
                run.line(at, "queue.done", attempts=1)
            if hour // 24 == 5 and of_day == 23 and chance.random() < 0.4:
                run.line(at, "admission", backend=LOCAL[0], decision="wait", pressure="network")
            if (hour // 24, of_day) == (6, 2) and second < 300:
                run.line(at, "suspended", backend=LOCAL[0], suspended_ms=1_320_000.0)
        if hour % 24 == 8 and run:
            run.line(START + hour * HOUR + HOUR - 1, "trace_export", sent=40, dropped=0, retried=1)


def write(weeks):
    for week in range(weeks):
        monday = datetime.date(2025, 11, 17) + datetime.timedelta(7 * week)
        dates = [f"{monday + datetime.timedelta(day):%Y%m%d}" for day in range(7)]
        sys.stdout.writelines(
            f'{{"timestamp":{at + week * 7 * DAY:.6f},"run_id":"{dates[day]}_{clock}",{fields}\n'
            for at, day, clock, fields in lines)


main()
write(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
