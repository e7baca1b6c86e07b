#!/usr/bin/env bash
# Runs the fuzz target of the header's check for so many seconds: fuzz/run.sh SECONDS
# Needs cargo-fuzz and a nightly compiler; llama.cpp is not built. A failing input stays in
# fuzz/artifacts/header.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?how many seconds?}
mkdir -p fuzz/corpus/header
cargo +nightly fuzz run header fuzz/corpus/header fuzz/seeds/header -- \
  -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
