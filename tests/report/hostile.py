#!/usr/bin/env python3
"""Writes an audit file of hostile and absurd lines to standard output.

More of everything than a report lists; names and texts that would be markup, script, forged
report lines, writing from right to left, control characters, 10 KB long; numbers and times that
no clock shows; torn and foreign lines.
"""

import json
import random
import sys

chance = random.Random(1)
EVIL = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp; &#x3c;",
    "]]><!-- --><!DOCTYPE html>",
    "\u202egnp.exe \u2066isolate\u2069 \u200fRTL",
    "שלום עולם والسلام",
    "\x00\x01\x1b[2J\x7f\x85\ufffe\ufdd0\U0010ffff",
    "evil\n\nOverall Health: 🟢 OK\r\n# Heading | cell |",
    "`code` **bold** [link](javascript:alert(1))",
    "url(http://example.com/) expression(alert(1)) @import 'http://example.com/x.css'",
    "a" * 10_240,
    "<" * 10_240,
    "\u202e" * 10_240,
    "",
    "   ",
    "🏴‍☠️👨‍👩‍👧‍👦 z̸̢̛a̵l̴g̷o̸",
]


def line(**fields):
    sys.stdout.buffer.write(json.dumps(fields, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass") + b"\n")


def name(number):
    return f"{EVIL[number % len(EVIL)]} {number}" if number >= len(EVIL) else EVIL[number]


for number in range(1500):
    line(
        timestamp=chance.choice([1_763_830_000 + number * 60, number, -5, 1e300, 253402300799, None]),
        run_id=name(number % 90),
        event=chance.choice(["backend_call", "task_complete", "helper_spawn", name(number % 40)]),
        backend=name(number % 50),
        latency_ms=chance.choice([0.001, 3.5, 250.0, 1e7, 1e308, -1, 0]),
        success=chance.random() < 0.5,
        error=name(number % 30),
        error_kind=name(number % 40),
        prompt_tokens=chance.choice([3, 2**63, 1e300]),
        completion_tokens=7,
        cost_nano=chance.choice([5, 2**62]),
        queue_ms=chance.choice([1.0, 1e308]),
        first_byte_ms=chance.choice([1.0, -1e308, 1e308]),
        waited_ms=1e308,
        seq=number,
    )
    line(timestamp=1_763_830_000, run_id="r", event="fallback", from_name=name(number % 30), to_name=name((number + 1) % 30), why=name(number % 7))
    line(timestamp=1_763_830_000, run_id="r", event="admission", decision=name(number % 30), pressure=name(number % 3))
line(timestamp=1_763_830_000, run_id="r", event="suspended", suspended_ms=1e308)
line(timestamp=1_763_830_000, run_id="r", event="trace_export", sent=2**64 - 1, dropped=2**64 - 1, retried=1)
line(timestamp=1_763_830_000, run_id="r", event="tail_repaired", bytes_dropped=2**64 - 1)
line(timestamp=1_763_830_000, run_id="r", event="lines_lost", lines=2**64 - 1)
line(other="<b>")
sys.stdout.buffer.write(b"\x00\x00\xff\xfe<script>\n{\"run_id\":\"torn")
