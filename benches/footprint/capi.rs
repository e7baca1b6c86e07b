//! Small C programs over the companion crates/capi, beside the Rust ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Fault;
use crate::programs::{drop_cached, scratch};
use crate::report::{Goal, Report, Row};

const CRATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/capi");
const QUICK_START: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/crates/capi/examples/quick_start.c");
/// The C twin of the Rust clients.
pub(crate) const CLIENT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/benches/programs/src/client.c");

const LOCAL_BYTES_MAX: f64 = 500_000.0;
const TLS_BYTES_MAX: f64 = 1_950_000.0;

const PACKED: &str = "-Wl,-z,pack-relative-relocs";

/// Bytes of a C program with one helper, in two feature sets.
pub(crate) fn sizes(report: &mut Report) -> Result<(), Fault> {
    for (what, features, goal) in [
        ("C program, Local-only", "", LOCAL_BYTES_MAX),
        ("C program, three backends, TLS", "tls", TLS_BYTES_MAX),
    ] {
        let bytes = |panic, flags: &[&str]| -> Result<f64, Fault> {
            Ok(std::fs::metadata(program(QUICK_START, features, panic, flags)?)?.len() as f64)
        };
        report.add(
            Row::new(what, "bytes")
                .us("unwinding, as shipped", bytes("unwind", &[])?)
                .us("the same, relocations packed", bytes("unwind", &[PACKED])?)
                .us("without unwinding", bytes("abort", &[])?)
                .goal(Goal::AtMost(goal)),
        );
    }
    Ok(())
}

/// Builds a C program with the static library of these features.
pub(crate) fn program(
    source: &str,
    features: &str,
    panic: &str,
    flags: &[&str],
) -> Result<PathBuf, Fault> {
    let target = scratch(&format!("capi-{features}-{panic}"));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["rustc", "--quiet", "--locked", "--profile", "size", "--crate-type", "staticlib"]);
    cargo.args(["--no-default-features", "--features", features, "--manifest-path"]);
    cargo.arg(format!("{CRATE}/Cargo.toml")).arg("--target-dir").arg(&target);
    // Settings for the bench itself must not reach what it measures.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    cargo.env("CARGO_PROFILE_SIZE_PANIC", panic);
    run(&mut cargo)?;
    let name = Path::new(source).file_stem().unwrap_or_default().to_string_lossy();
    let program = target.join(format!("{name}{}", flags.concat()));
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Os", "-Wl,--gc-sections", "-s", "-I"]).arg(format!("{CRATE}/include"));
    cc.args(flags).arg(source).arg(target.join("size/libautomation_assistant_capi.a"));
    cc.args(["-pthread", "-lm", "-ldl", "-o"]).arg(&program);
    run(&mut cc)?;
    drop_cached(&program)?;
    Ok(program)
}

fn run(command: &mut Command) -> Result<(), Fault> {
    match command.status()?.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed").into()),
    }
}
