#!/usr/bin/env bash
# header.sh TOOLS SCRATCH: the committed header against cbindgen's, and the examples against an
# installation by cargo-c. TOOLS holds both programs.
set -euo pipefail
cd "$(dirname "$0")"
tools=$1 scratch=$2
"$tools/cbindgen" --quiet --output "$scratch/automation_assistant.h"
diff include/automation_assistant.h "$scratch/automation_assistant.h"
echo "the header is the code's"

PATH=$tools:$PATH cargo cinstall --locked --profile size --destdir "$scratch/root" --prefix /usr --libdir lib
find "$scratch/root" -type f -o -type l | sort
export PKG_CONFIG_PATH=$scratch/root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$scratch/root
flags="-std=c99 -Wall -Wextra -Werror $(pkg-config --cflags automation_assistant)"
# shellcheck disable=SC2046,SC2086
cc $flags examples/quick_start.c $(pkg-config --libs automation_assistant) -o "$scratch/shared"
LD_LIBRARY_PATH=$scratch/root/usr/lib "$scratch/shared" | grep 'Local Response'
# shellcheck disable=SC2086
cc $flags examples/quick_start.c "$scratch/root/usr/lib/libautomation_assistant.a" -Wl,--gc-sections \
  -pthread -lm -ldl -o "$scratch/static"
"$scratch/static" | grep 'Local Response'
