//! Headers in order, and out of it.

#[path = "../../tests/support/tiny.rs"]
#[allow(unreachable_pub)]
mod tiny;

use super::Header;
use tiny::{TOKENS, Tiny, Value, damaged};

fn read(file: &Tiny) -> Result<Header, String> {
    let (bytes, _) = file.bytes();
    Header::read(bytes.as_slice(), bytes.len() as u64)
}

#[test]
fn a_header_has_what_memory_it_takes() {
    let file = Tiny::new().set("general.name", "Tiny");
    let header = read(&file).unwrap();
    assert_eq!((header.architecture(), header.name()), ("llama", Some("Tiny")));
    assert_eq!(header.context_tokens(), 128);
    let (bytes, start) = file.bytes();
    assert_eq!(header.weight_bytes(), (bytes.len() - start) as u64);
    // 16 numbers of key and of value, as half floats.
    let more = header.context_bytes(128, 1) - header.context_bytes(64, 1);
    assert_eq!(more, 64 * (16 + 16) * 2);
    // One number may stand for each layer.
    let layered = file.set("llama.attention.head_count_kv", Value::U32s(vec![1]));
    assert_eq!(read(&layered).unwrap(), header);
}

#[test]
fn what_llama_cpp_would_end_the_process_for_is_rejected() {
    let tokens = |change: fn(&mut Vec<String>)| {
        let mut file = Tiny::new();
        let (_, value) = file.values.iter_mut().find(|(key, _)| key.ends_with(".tokens")).unwrap();
        let Value::Texts(texts) = value else { panic!() };
        change(texts);
        file
    };
    let tensor = |change: fn(&mut tiny::Tensor)| {
        let mut file = Tiny::new();
        change(&mut file.tensors[3]);
        file
    };
    let set = |key: &str, value: u32| Tiny::new().set(key, Value::U32(value));
    let rows: Vec<(Tiny, &str)> = vec![
        (Tiny::new().without("general.architecture"), "architecture"),
        (Tiny::new().set("general.architecture", "clip"), "does not write text"),
        (Tiny::new().set("general.architecture", "qwen2"), "block_count"),
        (set("llama.block_count", 0), "block_count is 0"),
        (set("llama.block_count", 600), "600 layers"),
        (Tiny::new().set("llama.block_count", "many"), "block_count is out of bounds"),
        (set("llama.embedding_length", u32::MAX), "out of bounds"),
        (set("llama.context_length", 0), "context_length is 0"),
        (set("llama.attention.head_count_kv", 3), "heads of keys"),
        (set("llama.expert_count", 2000), "experts"),
        (set("llama.expert_used_count", 1), "experts"),
        (set("llama.expert_count", 4), "experts"),
        (Tiny::new().set("llama.rope.scaling.type", "magic"), "positions"),
        (set("split.count", 2), "several parts"),
        (set("general.alignment", 0), "alignment"),
        (set("general.alignment", 48), "alignment"),
        (set("general.alignment", 16), "alignment"),
        (set("llama.nextn_predict_layers", 2), "predict further tokens"),
        (set("llama.nextn_predict_layers", 1), ""),
        (Tiny::new().set("tokenizer.ggml.model", "no_vocab"), "tokenizer"),
        (Tiny::new().without("tokenizer.ggml.tokens"), "no tokens"),
        (Tiny::new().set("tokenizer.ggml.tokens", Value::U32(1)), "no list of texts"),
        (tokens(|texts| texts[260] = "hi".to_owned()), "token is there twice"),
        (tokens(|texts| texts[260] = "hi\0x".to_owned()), "token is there twice"),
        (tokens(|texts| texts[7] = "x".to_owned()), "byte has no token"),
        (tokens(|texts| texts[260] = String::new()), ""),
        (tokens(|texts| drop(texts.pop())), "scores"),
        (
            Tiny::new().set("tokenizer.ggml.scores", Value::Texts(vec![String::new(); TOKENS])),
            "scores",
        ),
        (Tiny::new().set("tokenizer.ggml.token_type", Value::I32s(vec![1])), "token_type"),
        (set("tokenizer.ggml.eos_token_id", 263), "special token"),
        (set("tokenizer.ggml.eos_token_id", u32::MAX), ""),
        (tensor(|tensor| tensor.2 = 4), "type 4"),
        (tensor(|tensor| tensor.2 = 999), "type 999"),
        (tensor(|tensor| tensor.1 = vec![0, 1]), "row is empty"),
        (tensor(|tensor| tensor.1 = vec![1; 5]), "5 dimensions"),
        (tensor(|tensor| tensor.0 = "x".repeat(64)), "64 bytes"),
        (tensor(|tensor| tensor.0 = "blk.0.attn_k.weight".to_owned()), "tensor is there twice"),
        (Tiny { tensors: Vec::new(), ..Tiny::new() }, "no tensors"),
    ];
    for (file, expected) in rows {
        match read(&file) {
            Ok(_) => assert_eq!(expected, "", "{file:?}"),
            Err(why) => assert!(!expected.is_empty() && why.contains(expected), "{why}"),
        }
    }
    for (epsilon, fits) in
        [(-1.0, false), (f32::NAN, false), (f32::INFINITY, false), (0.0, true), (1e-5, true)]
    {
        let file = Tiny::new().set("llama.attention.layer_norm_rms_epsilon", Value::F32(epsilon));
        assert_eq!(read(&file).is_ok(), fits, "{epsilon}");
    }
}

#[test]
fn a_key_that_is_there_twice_is_rejected() {
    let mut twice = Tiny::new();
    twice.values.push(twice.values[3].clone());
    assert_eq!(read(&twice).unwrap_err(), "a key is there twice");
}

#[test]
fn tensors_that_lie_on_each_other_are_rejected() {
    const NAME: &[u8] = b"output_norm.weight";
    let (mut bytes, _) = Tiny::new().bytes();
    let name = bytes.windows(NAME.len()).position(|window| window == NAME).unwrap();
    // After the name: how many dimensions, the one there is, the type; then the offset.
    let offset = name + NAME.len() + 4 + 8 + 4;
    bytes[offset..offset + 8].fill(0);
    let why = Header::read(bytes.as_slice(), bytes.len() as u64).unwrap_err();
    assert!(why.contains("where the one before it ends"), "{why}");
}

#[test]
fn a_file_cut_anywhere_is_rejected() {
    let (bytes, _) = Tiny::new().bytes();
    for end in (0..bytes.len()).step_by(7) {
        assert!(Header::read(&bytes[..end], end as u64).is_err(), "{end}");
    }
    // One that got shorter meanwhile.
    assert!(Header::read(&bytes[..500], bytes.len() as u64).is_err());
}

/// As many damaged files as `GGUF_FUZZ_CASES` sets: none makes the reader panic, or take memory
/// that the file does not have.
#[test]
fn no_damage_makes_the_reader_panic() {
    let cases = std::env::var("GGUF_FUZZ_CASES").ok().and_then(|text| text.parse().ok());
    let (bytes, header) = Tiny::new().bytes();
    let mut accepted = 0;
    for case in 0..cases.unwrap_or(20_000) {
        let file = damaged(&bytes, header, case);
        accepted += u64::from(Header::read(file.as_slice(), file.len() as u64).is_ok());
    }
    // The damage is neither always found nor never.
    assert!(accepted > 0 && accepted < cases.unwrap_or(20_000));
}
