#!/usr/bin/env bash
# The commands of `guide::on_a_phone`, rehearsed as far as a machine without a phone can: in a Debian
# root of the phone's processor under emulation, with the packages that Termux's commands install
# (a compiler, git, clang with lld), from a clone of this repository, without network while it builds.
# Prints what each command took. Memory is that of the largest process, emulator included.
#
#   tests/termux.sh [FOLDER] [STEP …]   FOLDER keeps root and build (default target/termux); the
#                                       steps are root, clone, build, run, static and test
#
# Needs root, and on Debian: mmdebstrap qemu-user-static time. `test` is not among the steps that run
# by default: compiling the tests under emulation takes an hour.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "tests/termux.sh needs root"; exit 1; }
folder=$(realpath -m "${1:-target/termux}")
steps=("${@:2}")
[ ${#steps[@]} -gt 0 ] || steps=(root clone build run)
root=$folder/root
mkdir -p "$folder"

# Programs of that processor are started by the kernel, for the time of this script.
binfmt=/proc/sys/fs/binfmt_misc
registered=
cleanup() {
  [ -z "$registered" ] || echo -1 > "$binfmt/qemu-aarch64"
}
trap cleanup EXIT
[ -e "$binfmt/register" ] || mount -t binfmt_misc none "$binfmt"
if [ ! -e "$binfmt/qemu-aarch64" ]; then
  cat /usr/lib/binfmt.d/qemu-aarch64.conf > "$binfmt/register"
  registered=yes
fi

# A command in the root, at home there, in a process tree of its own.
inside() {
  unshare --mount --fork --pid --kill-child --mount-proc="$root/proc" chroot "$root" env -i \
    HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    bash -c "cd && $1; exit \$?"
}

# The same, with its minutes and memory.
measured() {
  local begun=$SECONDS
  inside "cd automation-assistant && command time -v -o /tmp/time.txt $1"
  local kib
  kib=$(sed -n 's/.*Maximum resident set size (kbytes): //p' "$root/tmp/time.txt")
  printf '%s: %d s, largest process %d MB\n' "$1" $((SECONDS - begun)) $((kib / 1000))
}

# As `pkg update && pkg install rust git clang`. Debian's compiler for its browsers is the one that
# is new enough.
step_root() {
  [ ! -e "$root/usr/bin/cargo" ] || return 0
  local key="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
  mmdebstrap --quiet --arch=arm64 --variant=minbase --skip=check/qemu --include=ca-certificates \
    bookworm "$root" "deb $key http://deb.debian.org/debian bookworm main" \
    "deb $key http://deb.debian.org/debian-security bookworm-security main"
  inside 'apt-get update -qq && apt-get install -y -o Dpkg::Use-Pty=0 --no-install-recommends \
    rustc-web cargo-web git clang lld time' > "$folder/packages.txt"
  grep 'Need to get' "$folder/packages.txt"
}

# The crates lie beside the clone, in place of a network.
step_clone() {
  rm -rf "$root/root"
  mkdir -p "$root/root/.cargo"
  git bundle create --quiet "$root/root/repository" HEAD
  cargo vendor --quiet --locked "$root/root/vendor" > /dev/null
  cat > "$root/root/.cargo/config.toml" << 'END'
source.crates-io.replace-with = "vendored"
source.vendored.directory = "/root/vendor"
net.offline = true
# As in Termux, which has no gcc.
env.CC = "clang"
[target.aarch64-unknown-linux-gnu]
linker = "clang"
rustflags = ["-Clink-arg=-fuse-ld=lld"]
END
  inside 'git -c advice.detachedHead=false clone --quiet repository automation-assistant'
}

step_build() {
  local example
  for example in quick_start demo doctor; do
    measured "cargo build --quiet --locked --profile phone -j 1 --example $example"
  done
}

step_run() {
  local example=target/phone/examples
  inside "cd automation-assistant && $example/quick_start" | tee "$folder/quick_start.txt"
  grep -q 'Local Response' "$folder/quick_start.txt"
  inside "cd automation-assistant && $example/demo --debrief" > "$folder/demo.txt"
  grep 'Overall Health: 🟢 OK' "$folder/demo.txt"
  inside "cd automation-assistant && $example/doctor" > "$folder/doctor.txt" || true
  tail -3 "$folder/doctor.txt"
}

# Static programs for the phone's processor, linked on this machine with its own compiler and
# musl. They look names up by /etc/resolv.conf, which Android has not: see guide::on_a_phone.
step_static() {
  local target=aarch64-unknown-linux-musl
  rustup target add "$target"
  CC_aarch64_unknown_linux_musl=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
    cargo build --quiet --locked --profile size --target "$target" --example demo --example doctor
  local built=target/$target/size/examples name
  for name in demo doctor; do
    file "$built/$name" | grep 'static'
    cp "$built/$name" "$root/root/$name-static"
  done
  inside './demo-static --debrief' | grep 'Overall Health'
}

step_test() {
  measured "cargo test --quiet --locked -j 1"
}

for step in "${steps[@]}"; do
  "step_$step"
done
