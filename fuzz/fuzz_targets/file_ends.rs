//! Audit files and trace spools that end anyhow: the first byte chooses who else has the file,
//! the rest is what stands in it. Whole lines stay, a torn one is cut or closed.
#![no_main]

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::OnceLock;

use automation_assistant::Telemetry;
use automation_assistant::opik::{OpikConfig, OpikSink};

/// How the lines of a trace spool begin.
const SPOOL_LINES: [&[u8]; 2] = [b"{\"trace\":", b"{\"score\":"];

/// A folder in memory where there is one, made once.
fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = base.join(format!("aa-fuzz-ends-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for files");
        folder
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let (shared, linked) = (choice & 1 != 0, choice & 2 != 0);
    let (path, link) = (folder().join("file"), folder().join("link"));
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let (whole, torn) = bytes.split_at(whole);
    let write = || {
        for path in [&path, &link] {
            drop(fs::remove_file(path));
        }
        fs::write(&path, bytes).expect("the file is written");
        if linked {
            fs::hard_link(&path, &link).expect("it gets another name");
        }
    };

    write();
    let other = shared.then(|| File::open(&path).expect("another opens it"));
    other.iter().for_each(|file| file.lock_shared().expect("and says so"));
    drop(Telemetry::to_file(&path).expect("any file can be appended to"));
    let found = fs::read(&path).expect("it is there");
    let rest = found.strip_prefix(whole).expect("whole lines stay");
    if torn.is_empty() {
        assert!(rest.is_empty());
    } else if shared || linked {
        assert_eq!(rest, [torn, b"\n"].concat());
    } else {
        let text = std::str::from_utf8(rest).expect("our lines are text");
        let first = text.lines().next().expect("what was cut is reported");
        let event: serde_json::Value = serde_json::from_str(first).expect("our lines are JSON");
        assert_eq!(event["bytes_dropped"], torn.len());
    }
    drop(other);

    write();
    let config = OpikConfig::new().look_up(false).url("http://127.0.0.1:9").spool(&path);
    let opened = OpikSink::new(config);
    // Nobody else's file: what a spool holds is removed once it is sent.
    let begin = &bytes[..bytes.len().min(SPOOL_LINES[0].len())];
    let refused = linked || !SPOOL_LINES.iter().any(|line| line.starts_with(begin));
    assert_eq!(opened.is_err(), refused);
    let expected = if refused { bytes } else { whole };
    assert_eq!(fs::read(&path).expect("it is there"), expected);
});
