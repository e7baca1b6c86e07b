#!/usr/bin/env bash
# What CI runs of this crate: format, lints, docs, tests with and without TLS, and the judge.
set -euo pipefail
cd "$(dirname "$0")"
export CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
unset "${!OTEL_@}"

say() { printf '\n=== otlp: %s (%ss)\n' "$*" "$SECONDS"; }

say format
cargo fmt --check
for set in "" "--no-default-features"; do
  say "clippy ${set:-(default features)}"
  # shellcheck disable=SC2086
  cargo clippy --quiet --locked --all-targets $set -- -D warnings
done
say docs
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps
say tests
cargo test --quiet --locked --no-default-features
cargo test --quiet --locked
say "the protocol's and the conventions' own definitions"
tests/judge/run target/judge
say done
