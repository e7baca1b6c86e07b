//! A GGUF file of a whole model, as small as can be: one layer, 263 tokens, nonsense for weights.

/// A value of the header.
#[derive(Debug, Clone)]
pub enum Value {
    U32(u32),
    F32(f32),
    Text(String),
    Texts(Vec<String>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
    U32s(Vec<u32>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A tensor: name, dimensions, type.
pub type Tensor = (String, Vec<u64>, u32);

/// The content of a file.
#[derive(Debug, Clone)]
pub struct Tiny {
    pub values: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
}

const EMBEDDING: u64 = 32;
const FEED_FORWARD: u64 = 64;
/// Three special tokens, 256 bytes, four texts.
pub const TOKENS: usize = 3 + 256 + 4;
const F32: u32 = 0;

impl Tiny {
    pub fn new() -> Self {
        let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
        tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
        tokens.extend(["\u{2581}", "h", "i", "hi"].map(str::to_owned));
        // 2: unknown, 3: control, 6: byte, 1: text.
        let types = (0..TOKENS).map(|at| match at {
            0 => 2,
            1 | 2 => 3,
            3..259 => 6,
            _ => 1,
        });
        let values = [
            ("general.architecture", "llama".into()),
            ("llama.context_length", Value::U32(128)),
            ("llama.embedding_length", Value::U32(EMBEDDING as u32)),
            ("llama.block_count", Value::U32(1)),
            ("llama.feed_forward_length", Value::U32(FEED_FORWARD as u32)),
            ("llama.attention.head_count", Value::U32(2)),
            ("llama.attention.head_count_kv", Value::U32(1)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("llama.rope.dimension_count", Value::U32(16)),
            ("tokenizer.ggml.model", "llama".into()),
            ("tokenizer.ggml.tokens", Value::Texts(tokens)),
            ("tokenizer.ggml.scores", Value::F32s(vec![0.0; TOKENS])),
            ("tokenizer.ggml.token_type", Value::I32s(types.collect())),
            ("tokenizer.ggml.bos_token_id", Value::U32(1)),
            ("tokenizer.ggml.eos_token_id", Value::U32(2)),
            ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ];
        let (e, f) = (EMBEDDING, FEED_FORWARD);
        let tensors = [
            ("token_embd.weight", vec![e, TOKENS as u64]),
            ("output_norm.weight", vec![e]),
            ("blk.0.attn_norm.weight", vec![e]),
            ("blk.0.attn_q.weight", vec![e, e]),
            ("blk.0.attn_k.weight", vec![e, e / 2]),
            ("blk.0.attn_v.weight", vec![e, e / 2]),
            ("blk.0.attn_output.weight", vec![e, e]),
            ("blk.0.ffn_norm.weight", vec![e]),
            ("blk.0.ffn_gate.weight", vec![e, f]),
            ("blk.0.ffn_up.weight", vec![e, f]),
            ("blk.0.ffn_down.weight", vec![f, e]),
        ];
        Self {
            values: values.map(|(key, value)| (key.to_owned(), value)).to_vec(),
            tensors: tensors.map(|(name, sizes)| (name.to_owned(), sizes, F32)).to_vec(),
        }
    }

    /// Sets a value, in place of one that is there.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.retain(|(known, _)| known != key);
        self.values.push((key.to_owned(), value.into()));
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.values.retain(|(known, _)| known != key);
        self
    }

    /// The file, and where its tensors' bytes begin.
    pub fn bytes(&self) -> (Vec<u8>, usize) {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        number(&mut out, self.tensors.len());
        number(&mut out, self.values.len());
        for (key, value) in &self.values {
            text(&mut out, key);
            self::value(&mut out, value);
        }
        let mut offset = 0usize;
        for (name, sizes, kind) in &self.tensors {
            text(&mut out, name);
            out.extend(u32::try_from(sizes.len()).unwrap().to_le_bytes());
            sizes.iter().for_each(|size| out.extend(size.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            number(&mut out, offset);
            let bytes = sizes.iter().product::<u64>() as usize * 4;
            offset += bytes.next_multiple_of(32);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        let header = out.len();
        // Small numbers without a pattern.
        let weights = (0..offset as u32 / 4).map(|at| at.wrapping_mul(2_654_435_761) >> 16);
        out.extend(weights.flat_map(|n| (n as f32 / 65_536.0 - 0.5).to_le_bytes()));
        (out, header)
    }
}

fn number(out: &mut Vec<u8>, number: usize) {
    out.extend((number as u64).to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    number(out, text.len());
    out.extend(text.as_bytes());
}

fn value(out: &mut Vec<u8>, value: &Value) {
    let kind = |out: &mut Vec<u8>, kind: u32| out.extend(kind.to_le_bytes());
    let list = |out: &mut Vec<u8>, of: u32, length: usize| {
        kind(out, 9);
        kind(out, of);
        number(out, length);
    };
    match value {
        Value::U32(number) => {
            kind(out, 4);
            out.extend(number.to_le_bytes());
        }
        Value::F32(number) => {
            kind(out, 6);
            out.extend(number.to_le_bytes());
        }
        Value::Text(words) => {
            kind(out, 8);
            text(out, words);
        }
        Value::Texts(texts) => {
            list(out, 8, texts.len());
            texts.iter().for_each(|words| text(out, words));
        }
        Value::F32s(numbers) => {
            list(out, 6, numbers.len());
            numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        }
        Value::I32s(numbers) => {
            list(out, 5, numbers.len());
            numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        }
        Value::U32s(numbers) => {
            list(out, 4, numbers.len());
            numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
        }
    }
}

/// Damages a file in one of many ways, mostly in its header, by a number.
pub fn damaged(bytes: &[u8], header: usize, number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    const ODD: [u64; 12] = [
        0,
        1,
        2,
        7,
        255,
        1 << 16,
        (1 << 31) - 1,
        1 << 31,
        u32::MAX as u64,
        1 << 32,
        1 << 63,
        u64::MAX,
    ];
    let mut out = bytes.to_vec();
    for _ in 0..=random(3) {
        let at = random(header);
        match random(6) {
            0 => out[at] ^= 1 << random(8),
            1 => out[at] = random(256) as u8,
            2 => out[at] = out[at].wrapping_add(1),
            3 => {
                let width = [1, 4, 8][random(3)].min(out.len() - at);
                let odd = ODD[random(ODD.len())].to_le_bytes();
                out[at..at + width].copy_from_slice(&odd[..width]);
            }
            4 => {
                out.truncate(random(out.len()).max(1));
                return out;
            }
            _ => {
                let end = (at + random(16)).min(header);
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
        }
    }
    out
}
