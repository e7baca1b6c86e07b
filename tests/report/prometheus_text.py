#!/usr/bin/env python3
"""tests/report/prometheus_text.py FILE …: Prometheus's own client reads our text format.

Fails where a family has no type, help or sample of its own kind, a counter is not finite and
at least zero, a sample stands twice, or a histogram's buckets are not cumulative. (A family
without samples is one that nothing was counted in.)
"""

import math
import sys

from prometheus_client.parser import text_string_to_metric_families

KINDS = {"counter", "gauge", "histogram"}


def check(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        families = list(text_string_to_metric_families(file.read()))
    names = [family.name for family in families]
    assert len(names) == len(set(names)) >= 20, f"{path}: {len(names)} families, some twice"
    samples = 0
    for family in families:
        assert family.type in KINDS, f"{path}: {family.name} is {family.type}"
        assert family.documentation, f"{path}: {family.name} has no help"
        seen, buckets = set(), {}
        for sample in family.samples:
            assert sample.name.startswith(family.name), f"{path}: {sample.name} in {family.name}"
            assert math.isfinite(sample.value) and sample.value >= 0, f"{path}: {sample}"
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in seen, f"{path}: {sample} twice"
            seen.add(key)
            if sample.name.endswith("_bucket"):
                edge = float(sample.labels["le"])
                buckets.setdefault(sample.labels["backend"], []).append((edge, sample.value))
        for backend, counts in buckets.items():
            assert counts == sorted(counts, key=lambda pair: pair), f"{path}: {backend} is not cumulative"
            assert counts[-1][0] == math.inf, f"{path}: {backend} has no +Inf"
        samples += len(seen)
    print(f"{path}: {len(families)} families, {samples} samples")


assert sys.argv[1:]
for path in sys.argv[1:]:
    check(path)
