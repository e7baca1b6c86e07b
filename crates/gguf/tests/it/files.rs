//! Files that are no models, and devices without memory.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;

use automation_assistant::{
    AutomationAssistantManager, BackendType, Error, ErrorKind, HelperConfig, TaskError, TaskRequest,
};
use automation_assistant_gguf::{GgufBackend, Header, LoadError, create_gguf_helper};

use crate::support::{LONG, model};
use crate::tiny::{Tiny, Value};

/// A file of these bytes, which goes with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("aa-gguf-{}-{name}", std::process::id()));
        File::create(&path).unwrap().write_all(bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The beginning of the model's file.
fn beginning(bytes: u64) -> Vec<u8> {
    let mut read = Vec::new();
    File::open(model()).unwrap().take(bytes).read_to_end(&mut read).unwrap();
    read
}

#[test]
fn the_header_has_what_the_model_is() {
    let header = Header::of_file(model()).unwrap();
    assert_eq!(header.architecture(), "llama");
    assert_eq!(header.name(), Some("Smollm2 135M 8k Lc100K Mix1 Ep2"));
    assert_eq!(header.context_tokens(), 8192);
    let file = fs::metadata(model()).unwrap().len();
    assert!((file - header.weight_bytes()) < file / 20, "{}", header.weight_bytes());
    // 30 layers of 3 key-value heads of 64 numbers each, for key and value, as half floats.
    let cache = 2048 * 30 * 3 * 64 * 2 * 2;
    let context = header.context_bytes(2048, 32);
    assert!((cache..cache + (32 << 20)).contains(&context), "{context}");
}

/// To open a pipe waits for its other end.
#[cfg(unix)]
#[test]
fn a_pipe_is_no_model_and_is_not_waited_for() {
    let path = Scratch(std::env::temp_dir().join(format!("aa-gguf-{}-pipe", std::process::id())));
    assert!(std::process::Command::new("mkfifo").arg(&path.0).status().unwrap().success());
    let (send, done) = std::sync::mpsc::channel();
    let pipe = path.0.clone();
    std::thread::spawn(move || send.send(GgufBackend::builder(pipe).build().err().unwrap()));
    let error = done.recv_timeout(LONG).unwrap();
    assert!(matches!(&error, LoadError::InvalidFile { why, .. } if why.contains("no regular")));
}

/// Most vocabularies have their text split by `std::regex`, which takes stack for each character.
#[test]
fn long_runs_of_one_kind_overflow_no_stack() {
    let mut bytes = beginning(u64::MAX);
    let key = b"tokenizer.ggml.pre";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    let value = at + key.len() + 4 + 8;
    assert_eq!(&bytes[value..value + 6], b"smollm");
    bytes[value..value + 6].copy_from_slice(b"tekken");
    let file = Scratch::new("tekken", &bytes);
    drop(bytes);
    let backend = GgufBackend::builder(&file.0).build().unwrap();
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_with(HelperConfig::new(BackendType::Custom), backend).unwrap();
    let runs = ["-", " ", "a", "1", "\u{4e2d}", "\u{436}", "e\u{301}", "-\n"];
    for run in runs {
        let prompt = format!("Title\n{}\nend", run.repeat(6_000));
        let request = TaskRequest::new(prompt).max_output_tokens(1);
        let task = helper.ask(request.timeout(LONG)).unwrap();
        let kind = task.error.as_ref().map(TaskError::kind);
        assert!(matches!(kind, None | Some(ErrorKind::ContextLengthExceeded)), "{run:?} {kind:?}");
    }
}

#[test]
fn what_is_no_model_is_an_error() {
    let whole = beginning(u64::MAX);
    let rows: [(&str, Vec<u8>, &str); 5] = [
        ("empty", Vec::new(), "cut off"),
        ("text", b"this is no model at all".to_vec(), "does not begin"),
        ("header", whole[..1000].to_vec(), "cut off"),
        ("tensors", whole[..whole.len() - 1].to_vec(), "cut off"),
        ("version", [b"GGUF\x09\0\0\0".as_slice(), &whole[8..]].concat(), "version is 9"),
    ];
    for (name, bytes, expected) in rows {
        let file = Scratch::new(name, &bytes);
        match GgufBackend::builder(&file.0).build() {
            Err(LoadError::InvalidFile { why, .. }) => assert!(why.contains(expected), "{why}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    match GgufBackend::builder("/nowhere/at/all.gguf").build() {
        Err(LoadError::Io { .. }) => {}
        other => panic!("{other:?}"),
    }
    match GgufBackend::builder("/proc").build() {
        Err(LoadError::InvalidFile { .. }) => {}
        other => panic!("{other:?}"),
    }
    let manager = AutomationAssistantManager::new(1);
    match create_gguf_helper(&manager, "none", "/nowhere/at/all.gguf") {
        Err(Error::InvalidConfig(why)) => assert!(why.contains("all.gguf"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(manager.helper_count(), 0);
}

#[test]
fn a_model_for_which_there_is_no_memory_is_an_error_that_says_both() {
    let huge = Tiny::new()
        .set("llama.context_length", Value::U32(1 << 24))
        .set("llama.attention.key_length", Value::U32(1 << 20));
    let file = Scratch::new("huge", &huge.bytes().0);
    let error = GgufBackend::builder(&file.0).context_tokens(1 << 24).build().unwrap_err();
    let LoadError::NotEnoughMemory { needed_bytes, available_bytes } = error else {
        panic!("{error:?}")
    };
    // A million numbers, as half floats, for each of 16 million tokens.
    assert!(needed_bytes > 1 << 45 && available_bytes < needed_bytes);
    let words = error.to_string();
    for bytes in [needed_bytes.div_ceil(1 << 20), available_bytes >> 20] {
        assert!(words.contains(&format!("{bytes} MiB")), "{words}");
    }
    // With fewer tokens it would do.
    let header = Header::of_file(&file.0).unwrap();
    assert!(header.context_bytes(64, 32) < 1 << 30);
}

/// A file whose tensors are there, but which llama.cpp does not know what to do with.
#[test]
fn what_llama_cpp_rejects_is_an_error() {
    let mut whole = beginning(u64::MAX);
    let at = whole.windows(17).position(|name| name == b"blk.0.attn_q.weig").unwrap();
    whole[at] = b'x';
    let file = Scratch::new("renamed", &whole);
    match GgufBackend::builder(&file.0).build() {
        Err(LoadError::Rejected { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_that_cannot_be_are_rejected() {
    let builder = || GgufBackend::builder(model());
    for (builder, name) in [
        (builder().context_tokens(10), "context_tokens"),
        (builder().batch_tokens(0), "batch_tokens"),
        (builder().batch_tokens(5000), "batch_tokens"),
        (builder().threads(0), "threads"),
        (builder().threads(1000), "threads"),
    ] {
        match builder.build() {
            Err(LoadError::InvalidSetting(why)) => assert!(why.contains(name), "{why}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
