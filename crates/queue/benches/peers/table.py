"""Lines of the measures to a table: the median of each (lowest, highest), and ours against the best peer."""

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
print("| jobs a second (lowest, highest) | " + " | ".join(WHO) + " | ours / best peer |")
print("|---" * (len(WHO) + 2) + "|")
for what, rates in taken.items():
    middle = {who: median(of) for who, of in rates.items()}
    peers = max(rate for who, rate in middle.items() if who != "ours")
    cells = " | ".join(f"{middle[who]:,.0f} ({min(rates[who]):,}, {max(rates[who]):,})" for who in WHO)
    print(f"| {what} | {cells} | {middle['ours'] / peers:.1f} |")
