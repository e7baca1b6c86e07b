#!/usr/bin/env bash
# tests/semver.sh CARGO_SEMVER_CHECKS COMMIT
# Compares the public API with that commit's as if nothing might break. Each break that is found must
# stand in CHANGELOG.md, its name in backticks. The clone must have the commit.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$1" semver-checks --baseline-rev "$2" --release-type minor --color never > "$log" 2>&1 || true
grep -E '^ +(Checked|Summary) ' "$log" || { cat "$log"; echo "FAILED: nothing was compared"; exit 1; }
python3 - "$log" <<'PY'
import re, sys
code = " ".join(re.findall(r"`([^`\n]+)`", open("CHANGELOG.md").read()))
named = set(re.findall(r"\w+", code))
breaks, lint, listed = [], "", False
for line in open(sys.argv[1]):
    if line.startswith("--- failure "):
        lint, listed = line.split()[2].rstrip(":"), False
    elif line.startswith("Failed in:"):
        listed = True
    elif listed and line.startswith("  "):
        breaks.append((lint, re.sub(r",?( previously)? in (file )?/.*", "", line.strip())))
    else:
        listed = False
unexplained = []
for lint, text in breaks:
    words = re.sub(r"^(field|variant|enum|struct|function|type|trait|method|const) ", "", text)
    # `A::b`, `A.b`, `b of struct A`, `A is no longer B`.
    names = re.search(r"no longer (\w+)", words)
    names = [names[1]] if names else []
    names.append(re.split(r"::|\.", words.split()[0].rstrip(","))[-1])
    print(f"{lint}: {text}")
    if not set(names) <= named:
        unexplained.append(f"{lint}: {text}")
print(f"{len(breaks)} breaks, {len(unexplained)} of them not in CHANGELOG.md")
sys.exit("\n".join(["FAILED:", *unexplained]) if unexplained else 0)
PY
