#!/usr/bin/env bash
# What CI runs of this crate: format, lints, docs and unit tests; the tests in C as C99 and C++17,
# under sanitizers and valgrind; the examples by pkg-config; the Python modules. Installs valgrind
# with apt where it is not there. `.ci/run capi_header` does the rest, which takes longer.
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
unset OPENAI_API_KEY OPENAI_BASE_URL RUST_BACKTRACE
missing=()
command -v valgrind > /dev/null || missing+=(valgrind)
command -v pkg-config > /dev/null || missing+=(pkg-config)
command -v g++ > /dev/null || missing+=(g++)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
scratch=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2> /dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

say() { printf '\n=== capi: %s (%ss)\n' "$*" "$SECONDS"; }

say format
cargo fmt --check
for set in "" "--no-default-features" "--features _panic,rustix"; do
  say "clippy ${set:-(default features)}"
  # shellcheck disable=SC2086
  cargo clippy --quiet --locked --all-targets $set -- -D warnings
done
say docs
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps
say "unit tests"
cargo test --quiet --locked

say "every function stands in tests/nulls.c"
grep -o '\baa_[a-z_]*(' include/automation_assistant.h | sort -u > "$scratch/functions"
[ "$(wc -l < "$scratch/functions")" -gt 40 ]
while read -r function; do
  grep -qF "$function" tests/nulls.c || { echo "tests/nulls.c leaves out $function)"; exit 1; }
done < <(grep -v 'aa_last_error' "$scratch/functions")

say "library for the tests"
cargo build --quiet --locked --features _panic
library=target/debug/libautomation_assistant_capi.a

mkfifo "$scratch/stdin"
python3 tests/server.py < "$scratch/stdin" > "$scratch/url" &
server=$!
exec 8> "$scratch/stdin"
for _ in $(seq 600); do
  [ -s "$scratch/url" ] && break
  sleep 0.1
done
SERVER=$(cat "$scratch/url")
[ -n "$SERVER" ]

# build NAME COMPILER… : both test programs.
build() {
  local name=$1 test
  shift
  for test in nulls face; do
    "$@" -g -pthread -DWITH_PANIC -Wall -Wextra -Werror -Iinclude "tests/$test.c" -x none \
      "$library" -lm -ldl -o "$scratch/$test-$name"
  done
}

# run NAME TASKS WRAPPER… : both, each with an audit file of its own.
run() {
  local name=$1 tasks=$2
  shift 2
  rm -f "$scratch"/*.jsonl
  AUDIT="$scratch/$name-nulls.jsonl" "$@" "$scratch/nulls-$name"
  # shellcheck disable=SC2086
  SERVER=$SERVER AUDIT="$scratch/$name-face.jsonl" "$@" "$scratch/face-$name" $tasks
}

say "C99, 100,000 tasks in flat memory"
build c99 gcc -std=c99
run c99 "100000 measure" timeout 120
say "C++17"
build cxx g++ -x c++ -std=c++17
run cxx 4000 timeout 120
say "AddressSanitizer and UndefinedBehaviorSanitizer"
build asan gcc -std=c99 -fsanitize=address,undefined -fno-sanitize-recover=all
run asan 4000 timeout 120
say valgrind
run c99 400 valgrind --quiet --error-exitcode=9 --leak-check=full \
  --errors-for-leak-kinds=definite,possible --suppressions=tests/valgrind.supp

say "examples, by pkg-config"
cargo build --quiet --locked --profile size
make --silent -C examples clean all CFLAGS="-Os -Wall -Wextra -Werror"
examples/quick_start | tee "$scratch/quick_start"
grep -q "Local Response: Echo of 'Why is the sky blue" "$scratch/quick_start"
OPENAI_API_KEY=sk-test OPENAI_BASE_URL=$SERVER examples/stream | tee "$scratch/stream"
grep -q '^43 bytes' "$scratch/stream"
examples/tool "$SERVER" 2>&1 | tee "$scratch/tool"
grep -q 'the model asks for the sensor' "$scratch/tool"
say "Python: the prototype's users"
export AUTOMATION_ASSISTANT_LIB=$PWD/target/debug/libautomation_assistant_capi.so
python3 -B -m unittest discover --start-directory python/tests
say "Python 3.9"
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$scratch/vermin" vermin
PYTHONPATH=$scratch/vermin python3 "$scratch/vermin/bin/vermin" --quiet --no-tips --violations -t=3.9- \
  python/*.py python/scripts/*.py
say done
