"""Lines of the measures to a table: the best of each, and ours against the best peer."""

import re
import sys

WHO = ["ours", "RQ", "Celery", "BullMQ"]
best = {}
for line in sys.stdin:
    found = re.match(r"(\w+), (.+?)\s+(\d+) a second", line)
    if found:
        who, what, rate = found.group(1), found.group(2), int(found.group(3))
        best.setdefault(what, {})[who] = max(rate, best.get(what, {}).get(who, 0))
print("| jobs a second | " + " | ".join(WHO) + " | ours / best peer |")
print("|---" * (len(WHO) + 2) + "|")
for what, rates in best.items():
    peers = max(rate for who, rate in rates.items() if who != "ours")
    cells = " | ".join(f"{rates.get(who, 0):,}" for who in WHO)
    print(f"| {what} | {cells} | {rates['ours'] / peers:.1f} |")
