//! The header of a GGUF file, read with bounds before llama.cpp sees the file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::error::LoadError;

mod checks;
mod tensors;

/// Longest key, text or token, in bytes. Chat templates take some ten thousand.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Most keys, and most tensors.
const ENTRIES_MAX: u64 = 1 << 16;
/// Longest list: the largest vocabularies have a quarter of a million tokens.
const LIST_MAX: u64 = 1 << 22;
/// Lists of numbers of this length are kept: one number for each layer.
const KEPT_NUMBERS_MAX: u64 = 1 << 10;
/// Tensors begin at multiples of this, in bytes, where the file sets nothing else.
const DEFAULT_ALIGNMENT: u64 = 32;

/// The header of a GGUF file, as far as it matters for memory and safety.
///
/// It has been checked: every length and offset lies within the file, and so does every
/// tensor; keys are unique; the vocabulary's lists fit together and its tokens differ; layers,
/// heads, experts and the scaling of positions are within what llama.cpp asserts. A file in
/// several parts is rejected.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    architecture: String,
    name: Option<String>,
    context_tokens: u32,
    vocabulary: u64,
    layers: u64,
    embedding: u64,
    feed_forward: u64,
    /// Numbers of a token's key and value in one layer.
    key_value: u64,
    weight_bytes: u64,
    token_bytes_max: usize,
}

/// A value of the header. Lists keep what the checks need.
#[derive(Debug)]
enum Value {
    Number(i128),
    Float(f64),
    Bool,
    Text(String),
    /// Type of the elements, how many, and the numbers of a short list.
    List(Kind, u64, Vec<i128>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unsigned(u8),
    Signed(u8),
    Float(u8),
    Bool,
    Text,
    List,
}

impl Kind {
    fn of(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Unsigned(1),
            1 => Self::Signed(1),
            2 => Self::Unsigned(2),
            3 => Self::Signed(2),
            4 => Self::Unsigned(4),
            5 => Self::Signed(4),
            6 => Self::Float(4),
            7 => Self::Bool,
            8 => Self::Text,
            9 => Self::List,
            10 => Self::Unsigned(8),
            11 => Self::Signed(8),
            12 => Self::Float(8),
            _ => return None,
        })
    }
}

impl Header {
    /// Reads and checks a file's header.
    ///
    /// # Errors
    ///
    /// [`LoadError::Io`] and [`LoadError::InvalidFile`].
    pub fn of_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let failed = |source| LoadError::Io { path: path.to_owned(), source };
        let rejected = |why| LoadError::InvalidFile { path: path.to_owned(), why };
        // Before it is opened: to open a pipe waits for its other end.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(rejected("it is no regular file".to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        Self::read(BufReader::new(file), metadata.len()).map_err(rejected)
    }

    /// Reads and checks a header, of a file of so many bytes in all. Never panics, and takes
    /// no more memory than a few times the header's own size.
    ///
    /// # Errors
    ///
    /// The fault in it.
    pub fn read(file: impl Read, file_bytes: u64) -> Result<Self, String> {
        let mut source = Source { file, at: 0, file_bytes };
        let mut vocabulary = Vocabulary::default();
        if source.bytes(4)? != *b"GGUF" {
            return Err("it does not begin as GGUF files do".to_owned());
        }
        match source.number(4)? {
            2 | 3 => {}
            version => return Err(format!("its version is {version}: 2 and 3 are known")),
        }
        let tensors = source.count("tensors", ENTRIES_MAX)?;
        let keys = source.count("keys", ENTRIES_MAX)?;
        let mut values = HashMap::new();
        for _ in 0..keys {
            let key = source.text("key")?;
            let value = if key == checks::TOKENS {
                source.tokens(&mut vocabulary)?
            } else {
                source.value(&key)?
            };
            if values.insert(key, value).is_some() {
                return Err("a key is there twice".to_owned());
            }
        }
        let weight_bytes = tensors::check(&mut source, tensors, alignment(&values)?)?;
        checks::header(&values, &vocabulary, weight_bytes)
    }

    /// The model's architecture, such as `llama`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The model's name, where the file has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How many tokens the model was made for.
    pub fn context_tokens(&self) -> u32 {
        self.context_tokens
    }

    /// The memory of the weights, in bytes.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }

    /// The length of the longest token, in bytes; at least 1.
    pub(crate) fn token_bytes_max(&self) -> usize {
        self.token_bytes_max
    }

    /// The memory of one context, in bytes, about: keys and values of all its tokens, and the
    /// buffers that compute a batch.
    pub fn context_bytes(&self, context_tokens: u32, batch_tokens: u32) -> u64 {
        /// Keys and values are kept as half floats.
        const HALF: u64 = 2;
        const FLOAT: u64 = 4;
        /// About as many vectors of a token are alive at once in a layer's computation.
        const VECTORS: u64 = 8;
        /// Buffers, graphs and tables of any context.
        const FIXED: u64 = 8 << 20;
        let cells = self.key_value.saturating_mul(self.layers).saturating_mul(HALF);
        let cache = cells.saturating_mul(context_tokens.into());
        let vectors = self.embedding.saturating_mul(VECTORS).saturating_add(self.feed_forward * 2);
        let token = vectors.saturating_add(self.vocabulary).saturating_mul(FLOAT);
        let batch = token.saturating_mul(batch_tokens.into());
        cache.saturating_add(batch).saturating_add(FIXED)
    }
}

fn alignment(values: &HashMap<String, Value>) -> Result<u64, String> {
    match values.get("general.alignment") {
        None => Ok(DEFAULT_ALIGNMENT),
        // Smaller ones are not those of llama.cpp's own buffers, which it asserts.
        Some(Value::Number(n)) if (32..=1 << 20).contains(n) && n.count_ones() == 1 => {
            Ok(u64::try_from(*n).unwrap_or(DEFAULT_ALIGNMENT))
        }
        Some(_) => Err("its alignment is no power of two from 32 on".to_owned()),
    }
}

/// Facts of the tokens themselves that the checks need.
#[derive(Debug, Default)]
struct Vocabulary {
    has_twins: bool,
    /// Whether there is a token for each byte, so that any text can be written in tokens.
    has_all_bytes: bool,
    /// The length of the longest.
    bytes_max: usize,
}

/// The file, with how much of it was read.
struct Source<R> {
    file: R,
    at: u64,
    file_bytes: u64,
}

impl<R: Read> Source<R> {
    /// The next bytes; they are there, or the file is cut off.
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, String> {
        if count > self.file_bytes.saturating_sub(self.at) {
            return Err("it is cut off, or a length in it is wrong".to_owned());
        }
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(count).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == count => {
                self.at += count;
                Ok(bytes)
            }
            Ok(_) => Err("it got shorter while it was read".to_owned()),
            Err(error) => Err(format!("it cannot be read: {error}")),
        }
    }

    /// A number without a sign, little-endian.
    fn number(&mut self, width: u8) -> Result<u64, String> {
        let bytes = self.bytes(width.into())?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn count(&mut self, what: &str, max: u64) -> Result<u64, String> {
        match self.number(8)? {
            count if count <= max => Ok(count),
            count => Err(format!("it has {count} {what}: {max} is the most")),
        }
    }

    fn text(&mut self, what: &str) -> Result<String, String> {
        let length = self.count(&format!("bytes in a {what}"), TEXT_BYTES_MAX)?;
        String::from_utf8(self.bytes(length)?).map_err(|_| format!("a {what} is not UTF-8"))
    }

    fn kind(&mut self, key: &str) -> Result<Kind, String> {
        // A key may be anybody's words: only its beginning is quoted.
        let key: String = key.chars().take(64).collect();
        let code = u32::try_from(self.number(4)?).unwrap_or(u32::MAX);
        Kind::of(code).ok_or_else(|| format!("{key:?} has the type {code}, which is unknown"))
    }

    fn scalar(&mut self, kind: Kind) -> Result<Value, String> {
        Ok(match kind {
            Kind::Unsigned(width) => Value::Number(self.number(width)?.into()),
            Kind::Signed(width) => {
                let unused = 64 - 8 * u32::from(width);
                Value::Number((self.number(width)?.cast_signed() << unused >> unused).into())
            }
            Kind::Float(4) => {
                let bits = u32::try_from(self.number(4)?).unwrap_or(0);
                Value::Float(f32::from_bits(bits).into())
            }
            Kind::Float(width) => Value::Float(f64::from_bits(self.number(width)?)),
            Kind::Bool => match self.number(1)? {
                0 | 1 => Value::Bool,
                _ => return Err("a truth value is neither 0 nor 1".to_owned()),
            },
            Kind::Text => Value::Text(self.text("text")?),
            Kind::List => return Err("it has a list of lists".to_owned()),
        })
    }

    fn value(&mut self, key: &str) -> Result<Value, String> {
        let kind = self.kind(key)?;
        if kind != Kind::List {
            return self.scalar(kind);
        }
        let kind = self.kind(key)?;
        let length = self.count("elements in a list", LIST_MAX)?;
        let mut numbers = Vec::new();
        for _ in 0..length {
            match self.scalar(kind)? {
                Value::Number(number) if length <= KEPT_NUMBERS_MAX => numbers.push(number),
                _ => {}
            }
        }
        Ok(Value::List(kind, length, numbers))
    }

    /// The list of tokens. llama.cpp reads each as a C string, gives empty ones a name, and
    /// asserts that all differ.
    fn tokens(&mut self, vocabulary: &mut Vocabulary) -> Result<Value, String> {
        let list = self.kind(checks::TOKENS)?;
        if list != Kind::List || self.kind(checks::TOKENS)? != Kind::Text {
            return Err("its tokens are no list of texts".to_owned());
        }
        let length = self.count("tokens", LIST_MAX)?;
        let mut seen = HashSet::new();
        for at in 0..length {
            let bytes = self.count("bytes in a token", TEXT_BYTES_MAX)?;
            let mut token = self.bytes(bytes)?;
            if let Some(end) = token.iter().position(|byte| *byte == 0) {
                token.truncate(end);
            }
            if token.is_empty() {
                token = format!("[EMPTY_{at}]").into_bytes();
            }
            vocabulary.bytes_max = vocabulary.bytes_max.max(token.len());
            vocabulary.has_twins |= !seen.insert(token);
        }
        let is_known = |byte: u8| {
            seen.contains(format!("<0x{byte:02X}>").as_bytes()) || seen.contains([byte].as_slice())
        };
        vocabulary.has_all_bytes = (0..=u8::MAX).all(is_known);
        Ok(Value::List(Kind::Text, length, Vec::new()))
    }
}

#[cfg(test)]
mod tests;
