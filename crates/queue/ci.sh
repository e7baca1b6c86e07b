#!/usr/bin/env bash
# What CI runs of this crate: format, lints, docs, tests of each feature set, and the storms in
# small. Needs root for a redis-server that is not there yet, and for a disk that fills up.
set -euo pipefail
cd "$(dirname "$0")"
export CI=${CI:-true} CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
missing=()
command -v redis-server > /dev/null || missing+=(redis-server)
command -v openssl > /dev/null || missing+=(openssl)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

say() { printf '\n=== queue: %s (%ss)\n' "$*" "$SECONDS"; }

say format
cargo fmt --check
for set in "" "--no-default-features --features redis" "--all-features"; do
  say "clippy ${set:-(default features)}"
  # shellcheck disable=SC2086
  cargo clippy --quiet --locked --all-targets $set -- -D warnings
done
say docs
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps --all-features
say tests
cargo test --quiet --locked
cargo test --quiet --locked --all-features
say "storms, in small"
# The build of the tests above, examples included.
storm() { cargo test --quiet --locked --all-features --test storm -- --ignored --nocapture "$@"; }
AAQ_KILLS=120 AAQ_JOBS=1500 storm embedded --skip child
AAQ_JOBS=1000 AAQ_WORKERS=6 storm redis::
ulimit -n "$(ulimit -Hn)"
AAQ_WORKERS=200 AAQ_RATE=200 AAQ_SECONDS=10 storm fleet::
say done
