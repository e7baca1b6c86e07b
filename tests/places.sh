#!/usr/bin/env bash
# Runs the suite where a stranger might: as another user whose home may not be searched, with an
# empty environment, with a folder for temporary files that runs no programs, and without
# loopback, where it must end at once and say why. Needs root (another user, a mount, a network
# namespace of its own) and util-linux.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "tests/places.sh needs root"; exit 1; }

scratch=$(mktemp -d)
cleanup() {
  umount "$scratch/noexec" 2> /dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT
chmod 755 "$scratch"
mkdir -m 000 "$scratch/home"
mkdir -m 1777 "$scratch/noexec"
mount -t tmpfs -o noexec,mode=1777 tmpfs "$scratch/noexec"

cargo test --locked --no-run --message-format json 2> /dev/null > "$scratch/built.json"
mapfile -t programs < <(python3 -c '
import json, sys
for line in open(sys.argv[1]):
    built = json.loads(line)
    if built.get("profile", {}).get("test") and built["target"]["name"] in ("it", "automation_assistant"):
        print(built["executable"])
' "$scratch/built.json")
[ "${#programs[@]}" = 2 ] || { echo "two test programs were expected: ${programs[*]}"; exit 1; }

# `run NAME COMMAND …`: both programs under the command; each must pass.
run() {
  local name=$1 program
  shift
  for program in "${programs[@]}"; do
    if ! timeout 1200 "$@" "$program" > "$scratch/out.txt" 2>&1; then
      cat "$scratch/out.txt"
      echo "FAILED: $name"
      exit 1
    fi
    echo "$name: $(grep '^test result:' "$scratch/out.txt")"
  done
}

run "another user, no home" \
  setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$scratch/home" TMPDIR=/tmp
run "an empty environment" env -i
run "no programs in TMPDIR" env TMPDIR="$scratch/noexec"

began=$SECONDS
for program in "${programs[@]}"; do
  if timeout 60 unshare --net "$program" > "$scratch/out.txt" 2>&1; then
    echo "FAILED: passed without loopback"
    exit 1
  fi
  grep '^the tests need the loopback interface' "$scratch/out.txt" \
    || { cat "$scratch/out.txt"; echo "FAILED: does not say what is missing"; exit 1; }
done
echo "without loopback: ended after $((SECONDS - began)) s"
