#!/usr/bin/env bash
# Every kind of request that we send to Opik, judged by Opik's own contract, on loopback:
# prism (npm @stoplight/prism-cli) serves the contract, and answers 422 to a request that
# breaks it. The call for scores, which the contract beside the repository leaves out, is
# added to a copy of it from feedback-scores.yaml.
# Usage: tests/contract/opik.sh [DIR]    installs into DIR (once; a new temporary folder if
# none is given), runs, ends its server.
# Needs npm, python3 and the npm registry; the contract lies beside the repository, in
# ../shared/contracts. Fails if anything needed cannot be installed or started.
set -euo pipefail
cd "$(dirname "$0")/../.."
contract=$PWD/../shared/contracts/opik-subset-relaxed.yaml
[ -e "$contract" ] || { echo "no contract at ../shared/contracts"; exit 1; }
pid=""
temporary=""
# Ends and removes only what was started and made here.
cleanup() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$temporary" ] || rm -rf "$temporary"
}
trap cleanup EXIT
if [ $# -gt 0 ]; then dir=$1; else temporary=$(mktemp -d); dir=$temporary; fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

if [ ! -x "$dir/node_modules/.bin/prism" ]; then
  (cd "$dir" && npm init -y > /dev/null &&
    npm install --silent --no-audit --no-fund @stoplight/prism-cli@5.16.0)
fi

if grep -q 'traces/feedback-scores:' "$contract"; then
  cp "$contract" "$dir/opik.yaml"
else
  sed '/^paths:$/r tests/contract/feedback-scores.yaml' "$contract" > "$dir/opik.yaml"
fi
chmod u+w "$dir/opik.yaml"
# JavaScript knows no (?s): prism would silently check nothing where such a pattern stands.
# "Anything but blank" means the same.
sed -i 's/pattern: (?s)^.*$/pattern: \\S/' "$dir/opik.yaml"
if grep -q '(?s)' "$dir/opik.yaml"; then
  echo "the contract has a pattern that prism cannot read"
  exit 1
fi

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$dir/node_modules/.bin/prism" mock --host 127.0.0.1 --port "$port" "$dir/opik.yaml" \
  > "$dir/prism-opik.log" 2>&1 &
pid=$!
ready=""
# At most a minute.
for _ in $(seq 240); do
  if python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2> /dev/null; then
    ready=yes
    break
  fi
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.25
done
[ -n "$ready" ] || { cat "$dir/prism-opik.log"; echo "prism did not start"; exit 1; }

AUTOMATION_ASSISTANT_PRISM_OPIK=http://127.0.0.1:$port \
  cargo test --locked --test it opik::prism -- --nocapture | tee "$dir/opik.txt"
grep -Eq 'test result: ok\. [1-9][0-9]* passed' "$dir/opik.txt"
if grep -q 'left out' "$dir/opik.txt"; then
  echo "the judge is there, and a test was left out"
  exit 1
fi
# The judge saw every kind of request, and refused only the one that is wrong on purpose.
python3 - "$dir/prism-opik.log" <<'P'
import re, sys
log = re.sub(r"\x1b\[[0-9;]*m", "", open(sys.argv[1]).read())
seen = {path: len(re.findall(path, log)) for path in
        ["chat/completions", "traces/batch", "spans/batch", "traces/feedback-scores"]}
refused = len(re.findall(r"Request did not pass the validation rules", log))
print(f"prism: {seen}, refused: {refused}")
if not all(seen.values()) or refused != 1:
    print(log[-4000:])
    sys.exit("a kind of request did not come, or was refused")
P
