#!/usr/bin/env bash
# Packs the core and its companions as they are published, and tries what was packed: the core's
# tests in the folder that a stranger gets, and each companion against that core, which stands in for
# the registry's. llama.cpp is not compiled: crates/gguf is packed and not built.
# `tests/package.sh --list` also prints the files of each package.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
# The registry takes 10 MB; a phone's user pays for each byte.
core_bytes_max=512000
export CARGO_TERM_COLOR=never CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/package-check}
packed=$CARGO_TARGET_DIR/package
# Files in a package have no dates: cargo would take what it built of an earlier one of the same version.
# (Nor would it unpack again what an earlier run put into cargo's folder for registries.)
rm -rf "$packed" "$CARGO_TARGET_DIR"/debug/.fingerprint/automation-assistant* \
  "${CARGO_HOME:-$HOME/.cargo}"/registry/{src,cache}/*/automation-assistant*
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# pack COMMAND …: fails with the command, and on a warning. What is left out by `include` is no fault.
pack() {
  local log=$scratch/log
  "$@" 2> "$log" || { cat "$log"; exit 1; }
  if grep '^warning' "$log" | grep -Ev 'ignoring (test|example|benchmark) |aborting upload due to dry run'; then
    echo "FAILED: warnings of: $*"
    exit 1
  fi
}

# Whether the registry would take it, and the file that it would get.
pack cargo publish --dry-run --locked --allow-dirty --no-verify
pack cargo package --locked --allow-dirty --no-verify
sed -n 's/^warning: ignoring/left out:/p' "$scratch/log"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
crate=$packed/automation-assistant-$version.crate
bytes=$(stat -c %s "$crate")
echo "automation-assistant $version: $bytes bytes packed, at most $core_bytes_max; $(tar tzf "$crate" | wc -l) files"
[ "$bytes" -le "$core_bytes_max" ] || { echo "FAILED: too large"; exit 1; }

tar xzf "$crate" -C "$scratch"
core=$scratch/automation-assistant-$version
(cd "$core" && cargo test --quiet --locked) > "$scratch/tests" 2>&1 || { cat "$scratch/tests"; exit 1; }
grep '^test result' "$scratch/tests"
# An empty run would be green, too.
grep -Eq '^test result: ok\. [1-9][0-9]{2,} passed' "$scratch/tests"

# A workspace of the packed core and the companions: cargo then packs those that depend on each other
# before the registry has any of them. Profiles belong to a workspace's root.
workspace=$scratch/workspace
mkdir "$workspace"
mv "$core" "$workspace/core"
cp Cargo.lock "$workspace"
printf '[workspace]\nresolver = "3"\nmembers = ["*"]\n' > "$workspace/Cargo.toml"
names=()
for folder in crates/*/; do
  name=$(basename "$folder")
  names+=("$name")
  mkdir "$workspace/$name"
  git -C "$folder" ls-files -z | tar -C "$folder" -ch --null -T - | tar -x -C "$workspace/$name"
  sed -i 's|path = "\.\./\.\."|path = "../core"|; /^\[workspace\]$/d' "$workspace/$name/Cargo.toml"
done
sed -i '/^\[profile\./,$d' "$workspace"/*/Cargo.toml

cd "$workspace"
mapfile -t built < <(printf '%s\n' "${names[@]}" | grep -v '^gguf$' | sed 's/^/--package=automation-assistant-/')
pack cargo package --package automation-assistant "${built[@]}"
pack cargo package --no-verify --package automation-assistant --package automation-assistant-gguf
for name in "${names[@]}"; do
  crate=$(ls "$packed/automation-assistant-$name"-*.crate)
  tar tzf "$crate" > "$scratch/files"
  grep -q '/LICENSE$' "$scratch/files" || { echo "FAILED: no LICENSE in $crate"; exit 1; }
  echo "automation-assistant-$name: $(stat -c %s "$crate") bytes packed; $(wc -l < "$scratch/files") files"
done
[ "${1:-}" != --list ] || for crate in "$packed"/*.crate; do tar tzf "$crate"; done
