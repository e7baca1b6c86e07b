#!/usr/bin/env bash
# small.sh: C programs whose standard library is compiled along, without the code that writes
# backtraces: their bytes, an answer, and a panic that is caught. CARGO and RUSTC name a compiler that
# has its standard library's source: a nightly one, or Debian's (packages rustc-web, cargo-web,
# rust-web-src).
set -euo pipefail
cd "$(dirname "$0")"
target=target/small
triple=$("${RUSTC:-rustc}" -vV | sed -n 's/^host: //p')

# build FEATURES SOURCE PROGRAM
build() {
  RUSTC_BOOTSTRAP=1 "${CARGO:-cargo}" rustc -Zbuild-std=std,panic_unwind -Zbuild-std-features= \
    --target "$triple" --quiet --locked --profile size --crate-type staticlib --no-default-features \
    --features "$1" --target-dir "$target"
  cc -std=c99 -Os -s -Wl,--gc-sections -Iinclude "$2" \
    "$target/$triple/size/libautomation_assistant_capi.a" -pthread -lm -ldl -lgcc_s -o "$target/$3"
}

# weigh PROGRAM BYTES_MAX
weigh() {
  local bytes
  bytes=$(stat -c %s "$target/$1")
  echo "$1: $bytes bytes, at most $2"
  [ "$bytes" -le "$2" ] || { echo "FAILED: too large"; exit 1; }
}

build "" examples/quick_start.c local
weigh local 500000
"$target/local" | grep 'Local Response'

build tls examples/quick_start.c tls
weigh tls 1950000

cat > "$target/panic.c" <<'C'
#include "automation_assistant.h"
aa_status aa_test_panic(void);
int main(void) { return aa_test_panic() == AA_PANIC ? 0 : 1; }
C
build _panic "$target/panic.c" panic
"$target/panic"
echo "a panic is AA_PANIC"
