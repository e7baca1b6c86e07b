#!/usr/bin/env bash
# System calls that fail, by the hand of a tracer. Needs Linux and strace, and the right to
# trace one's own children (in a container: the capability SYS_PTRACE). Builds the tests,
# then runs their child processes:
#
#   tests/faults.sh          # everything, about a minute
#
# Each case ends with an error if a promise is broken, or if the tracer hit nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v strace > /dev/null || {
  echo "tests/faults.sh: there is no strace; install it (apt-get install strace)" >&2
  exit 1
}
strace -e trace=none true 2> /dev/null || {
  echo "tests/faults.sh: strace may not trace here (SYS_PTRACE?)" >&2
  exit 1
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
it=$(cargo test --locked --test it --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')
[ -x "$it" ] || { echo "tests/faults.sh: the tests were not built" >&2; exit 1; }

# Longest a case may take; each takes seconds.
case_seconds=120

# faulty NAME INJECTION TEST: runs an ignored test under the tracer; the injection must hit.
faulty() {
  local name=$1 inject=$2 test=$3
  echo "=== $name"
  timeout "$case_seconds" strace -f -qq -o "$scratch/trace" -e "trace=${inject%%:*}" -e "inject=$inject" \
    "$it" --exact "$test" --ignored --nocapture --test-threads=1 > "$scratch/out" 2>&1 || {
    cat "$scratch/out"
    echo "tests/faults.sh: $name: failed" >&2
    exit 1
  }
  grep -q '1 passed' "$scratch/out" || { cat "$scratch/out"; exit 1; }
  local hits
  hits=$(grep -c INJECTED "$scratch/trace" || true)
  [ "$hits" -gt 0 ] || { echo "tests/faults.sh: $name: the tracer hit nothing" >&2; exit 1; }
  echo "$hits calls failed; every promise held"
}

# The third thread and all after it are refused: an error from the spawn, nothing left behind.
AA_TEST_RESOURCE=threads faulty "threads refused" clone3:error=EAGAIN:when=3+ resources::child

# File systems without locks, and files that may only be appended to.
AA_TEST_TRACED=1 faulty "no file locks" flock:error=ENOLCK \
  telemetry::places::without_locks_nothing_is_cut_or_rotated
AA_TEST_TRACED=1 faulty "nothing can be cut" ftruncate:error=EPERM \
  telemetry::places::where_nothing_can_be_cut_it_is_closed

# A writer that is alone makes one system call for each moment's lines, and no other, but some
# at its beginning and end and at every 256 lines.
echo "=== one write a moment"
AA_TEST_CHILD_WORK=five_hundred AA_TEST_CHILD_FILE="$scratch/audit.jsonl" timeout "$case_seconds" \
  strace -f -qq -o "$scratch/trace" -P "$scratch/audit.jsonl" \
  "$it" --exact telemetry::kill::child --ignored > /dev/null
calls=$(grep -cv 'resumed>' "$scratch/trace") writes=$(grep -c 'writev(' "$scratch/trace")
echo "$writes writes for 500 tasks, $((calls - writes)) other calls"
[ "$writes" -eq 500 ] && [ "$((calls - writes))" -lt 40 ] || {
  echo "tests/faults.sh: a line costs more than its write" >&2
  exit 1
}

# The whole soak, a small one, while calls of both sides fail now and then: still one outcome
# for each task, none late, nothing leaked. (`when` counts for each thread by itself.)
export AA_SOAK_CHILD=1 AA_SOAK_TRACED=1 SOAK_TASKS=${SOAK_TASKS:-400} SOAK_SEED=${SOAK_SEED:-7}
echo "SOAK_SEED=$SOAK_SEED SOAK_TASKS=$SOAK_TASKS"
faulty "reads interrupted" recvfrom:error=EINTR:when=2+3 soak::child
faulty "connections reset" recvfrom:error=ECONNRESET:when=5+7 soak::child
faulty "connections never made" connect:error=ETIMEDOUT:when=2+3 soak::child
faulty "network unreachable" connect:error=ENETUNREACH:when=2+3 soak::child
faulty "broken pipes" sendto:error=EPIPE:when=3+5 soak::child
faulty "sockets refused" socket:error=EMFILE:when=3+4 soak::child
