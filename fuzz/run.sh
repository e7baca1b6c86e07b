#!/usr/bin/env bash
# Runs each fuzz target for so many seconds, one after the other: fuzz/run.sh SECONDS [TARGET …]
# Needs cargo-fuzz and a nightly compiler. A failing input stays in fuzz/artifacts/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?how many seconds for each target?}
shift
targets=("$@")
[ $# -gt 0 ] || targets=(sse replies error_bodies retry_after audit_lines config_json device_files \
  file_ends http_replies)
cargo +nightly fuzz --version > /dev/null
for target in "${targets[@]}"; do
  echo "=== $target, $seconds s"
  mkdir -p "fuzz/corpus/$target"
  # Keys of the environment must not decide what configurations can do.
  env -u OPENAI_API_KEY -u OPENAI_BASE_URL -u OPIK_API_KEY -u OPIK_URL_OVERRIDE -u SSL_CERT_FILE \
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
done
rm -rf /dev/shm/aa-fuzz-*
