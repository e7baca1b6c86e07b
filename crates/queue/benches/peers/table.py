"""Lines of the measures to a table: the median of each, and ours against the best peer."""

import re
import sys
from statistics import median

WHO = ["ours", "RQ", "Celery", "BullMQ"]
taken = {}
for line in sys.stdin:
    found = re.match(r"(\w+), (.+?)\s+(\d+) a second", line)
    if found:
        who, what, rate = found.group(1), found.group(2), int(found.group(3))
        taken.setdefault(what, {}).setdefault(who, []).append(rate)
print("| jobs a second | " + " | ".join(WHO) + " | ours / best peer |")
print("|---" * (len(WHO) + 2) + "|")
for what, rates in taken.items():
    rates = {who: median(of) for who, of in rates.items()}
    peers = max(rate for who, rate in rates.items() if who != "ours")
    cells = " | ".join(f"{rates.get(who, 0):,.0f}" for who in WHO)
    print(f"| {what} | {cells} | {rates['ours'] / peers:.1f} |")
