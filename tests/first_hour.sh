#!/usr/bin/env bash
# A stranger's first hour: a fresh clone of what is committed, with an empty home; README's program in
# a new project of the stranger's own, counted; then every shell command that the texts for users give.
# A block marked `sh` is run in the folder of its file, and must succeed. A block of commands that
# cannot be run here is marked `text`; the paragraph above it ends with "Not run by the gate:" and the reason.
# Crates come from cargo's own cache where they are in it.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} CARGO_TERM_COLOR=never
unset CARGO_TARGET_DIR RUSTFLAGS
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/home"
export HOME=$scratch/home
clone=$scratch/automation-assistant

# run NAME FOLDER COMMAND …: says how long it took; prints the output of a failure only.
run() {
  local name=$1 folder=$2 began=$SECONDS
  shift 2
  if ! (cd "$folder" && "$@") > "$scratch/out.txt" 2>&1 < /dev/null; then
    cat "$scratch/out.txt"
    echo "FAILED: $name"
    exit 1
  fi
  echo "$((SECONDS - began)) s: $name"
}

# The fenced block of a language that README has first.
block() { awk -v fence="\`\`\`$1" '$0 == "```" { on = 0; if (done) exit } on { print; done = 1 } $0 == fence && !done { on = 1 }' "$clone/README.md"; }

run "git clone" "$scratch" git clone --quiet --no-local "$root" automation-assistant
run "cargo new" "$scratch" cargo new --quiet --vcs none mine
block toml > "$scratch/dependencies"
sed -i -e "/^\[dependencies\]/{r $scratch/dependencies" -e 'd}' "$scratch/mine/Cargo.toml"
block rust > "$scratch/mine/src/main.rs"
run "cargo run" "$scratch/mine" cargo run --quiet
diff "$scratch/out.txt" <(block text) || { echo "FAILED: README promises another output"; exit 1; }
own=$SECONDS
packs=$(find "$clone/.git" -name '*.pack' -printf '%s\n' | paste -sd+ | bc)
crates=0 bytes=0
while read -r name version; do
  file=$(find "$CARGO_HOME/registry/cache" -name "$name-${version#v}.crate" | head -1)
  bytes=$((bytes + $(stat -c %s "$file"))) crates=$((crates + 1))
done < <(cd "$scratch/mine" && cargo tree --locked --edges normal,build --prefix none \
  | grep -v '(/' | sed 's/ (\*)$//; s/ (proc-macro)$//' | sort -u)
[ "$crates" -gt 5 ]
echo "from nothing to a program of one's own: 3 commands, 2 files to edit, $own s; downloaded: $packs bytes of git," \
  "$bytes bytes of $crates crates"

python3 - "$clone" "$scratch/blocks" <<'PY'
import glob, os, re, sys
root, out = sys.argv[1:]
os.mkdir(out)
MARK = "Not run by the gate:"
command = re.compile(r"[A-Z_]+=|(cargo|rustup|pkg|apt|apt-get|python3|make|cc|git|cp|export|curl|docker|\S+\.sh)\b")
texts = ["README.md", "CONTRIBUTING.md", "*/README.md", "crates/*/*.md", "crates/*/*/README.md", "src/guide/*.rs", "src/lib.rs"]
faults, found = [], []
for path in sorted({path for text in texts for path in glob.glob(f"{root}/{text}")}):
    name, inside, above, ended = os.path.relpath(path, root), None, "", True
    # Commands are given for the repository's root, or for a companion's folder.
    folder = re.match(r"crates/[^/]+|", name)[0]
    for number, line in enumerate(open(path), 1):
        line = re.sub(r"^\s*//[/!] ?", "", line.rstrip("\n")) if path.endswith(".rs") else line.rstrip("\n")
        if inside is None and line.startswith("```"):
            inside, where, reason, lines = line[3:], f"{name}:{number}", above, []
        elif inside is not None and line == "```":
            commands = bool(lines) and bool(command.match(lines[0]))
            if inside == "sh":
                found.append((where, folder, lines))
            elif inside in ("bash", "console", "shell") or (inside == "" and commands):
                faults.append(f"{where}: a block of commands is marked `sh` or `text`")
            elif inside == "text" and commands and MARK not in reason:
                faults.append(f"{where}: no \"{MARK} …\" above the block")
            elif inside == "text" and commands:
                print(f"left out: {where}: {reason.split(MARK)[1].strip()}")
            inside, above = None, ""
        elif inside is not None:
            lines.append(line)
        elif line.strip():
            # The paragraph above a block, which a blank line ends.
            above, ended = (line if ended else f"{above} {line}"), False
        else:
            ended = True
for at, (where, folder, lines) in enumerate(found):
    open(f"{out}/{at:02}", "w").write(f"{where}\n{folder}\n" + "\n".join(lines) + "\n")
sys.exit("\n".join(faults) or 0)
PY
for block in "$scratch"/blocks/*; do
  { read -r where && read -r folder && cat > "$scratch/commands"; } < "$block"
  run "$where" "$clone/$folder" bash -euo pipefail "$scratch/commands"
done
echo "all commands: $SECONDS s"
