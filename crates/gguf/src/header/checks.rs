//! Checks of the header's values that llama.cpp takes for granted: where it would end the process,
//! the file is rejected here.

use std::collections::HashMap;

use super::{Header, Kind, Value, Vocabulary};

pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
/// llama.cpp's own bounds.
const LAYERS_MAX: u64 = 512;
const EXPERTS_MAX: u64 = 1024;
/// No model has more of anything (width, heads, tokens of context).
const SIZE_MAX: u64 = 1 << 24;
/// Kinds of tokenizers that turn text into tokens and back.
const TOKENIZERS: [&str; 3] = [SENTENCE_PIECE, "gpt2", "gemma4"];
/// It throws an exception for a byte without a token.
const SENTENCE_PIECE: &str = "llama";
/// How positions may be stretched.
const ROPE_SCALINGS: [&str; 4] = ["none", "linear", "yarn", "longrope"];
/// Architectures that write no text.
const NOT_GENERATIVE: [&str; 3] = ["clip", "mmproj", "wavtokenizer-dec"];

/// The header out of its values.
///
/// # Errors
///
/// The fault in them.
pub(super) fn header(
    values: &HashMap<String, Value>,
    tokens: &Vocabulary,
    weight_bytes: u64,
) -> Result<Header, String> {
    let architecture = match values.get("general.architecture") {
        Some(Value::Text(architecture)) => architecture.clone(),
        _ => return Err("it does not name its architecture".to_owned()),
    };
    if NOT_GENERATIVE.contains(&architecture.as_str()) {
        return Err(format!("a {architecture} model does not write text"));
    }
    let own = Own { values, architecture: &architecture };
    if own.optional("split.count", false)?.is_some_and(|parts| parts > 1) {
        return Err("it is one of several parts: join them with llama-gguf-split".to_owned());
    }
    let layers = own.required("block_count")?;
    if layers > LAYERS_MAX {
        return Err(format!("it has {layers} layers: {LAYERS_MAX} is the most"));
    }
    let embedding = own.required("embedding_length")?;
    let context_tokens = own.required("context_length")?;
    let key_value = own.key_value(embedding)?;
    own.experts()?;
    own.positions()?;
    own.epsilons()?;
    if own.optional("nextn_predict_layers", true)?.is_some_and(|more| more > layers) {
        return Err("it has more layers that predict further tokens than layers".to_owned());
    }
    let vocabulary = vocabulary(values, tokens)?;
    Ok(Header {
        name: match values.get("general.name") {
            Some(Value::Text(name)) => Some(name.clone()),
            _ => None,
        },
        context_tokens: u32::try_from(context_tokens).unwrap_or(u32::MAX),
        vocabulary,
        layers,
        embedding,
        feed_forward: own.optional("feed_forward_length", true)?.unwrap_or(0),
        key_value,
        weight_bytes,
        token_bytes_max: tokens.bytes_max.max(1),
        architecture,
    })
}

/// The values of the file's own architecture.
struct Own<'a> {
    values: &'a HashMap<String, Value>,
    architecture: &'a str,
}

impl Own<'_> {
    /// A number, or the greatest of a list with one for each layer; within bounds.
    fn optional(&self, key: &str, of_architecture: bool) -> Result<Option<u64>, String> {
        let full = format!("{}.{key}", self.architecture);
        let value = self.values.get(if of_architecture { full.as_str() } else { key });
        let number = match value {
            None => return Ok(None),
            Some(Value::Number(number)) => Some(*number),
            Some(Value::List(_, _, numbers)) => {
                // Layers of another kind have none.
                let fit = numbers.iter().all(|number| *number >= 0);
                numbers.iter().copied().max().filter(|_| fit)
            }
            Some(_) => None,
        };
        let number = number.and_then(|number| u64::try_from(number).ok());
        match number.filter(|number| *number <= SIZE_MAX) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("its {key} is out of bounds")),
        }
    }

    fn required(&self, key: &str) -> Result<u64, String> {
        match self.optional(key, true)? {
            Some(0) => Err(format!("its {key} is 0")),
            Some(number) => Ok(number),
            None => Err(format!("it has no {key}")),
        }
    }

    /// Numbers of a token's key and value in one layer.
    fn key_value(&self, embedding: u64) -> Result<u64, String> {
        let heads = self.optional("attention.head_count", true)?.unwrap_or(0);
        if heads == 0 {
            // A recurrent model; its state is smaller than that.
            return Ok(embedding.saturating_mul(2));
        }
        let shared = self.optional("attention.head_count_kv", true)?.unwrap_or(heads);
        if shared > heads {
            return Err("it has more heads of keys than heads".to_owned());
        }
        let width = |key| Ok::<_, String>(self.optional(key, true)?.unwrap_or(embedding / heads));
        let widths = width("attention.key_length")? + width("attention.value_length")?;
        Ok(widths.saturating_mul(shared))
    }

    fn experts(&self) -> Result<(), String> {
        let number = |key| Ok::<_, String>(self.optional(key, true)?.unwrap_or(0));
        let (experts, used) = (number("expert_count")?, number("expert_used_count")?);
        let (groups, used_groups) =
            (number("expert_group_count")?, number("expert_group_used_count")?);
        let fit = match experts {
            0 => used == 0 && groups == 0,
            1..=EXPERTS_MAX => {
                let grouped = groups < 2
                    || experts.is_multiple_of(groups) && (1..groups).contains(&used_groups);
                (1..=experts).contains(&used) && groups < experts && grouped
            }
            _ => false,
        };
        if fit { Ok(()) } else { Err("its numbers of experts do not fit together".to_owned()) }
    }

    /// The number that is added to a norm is small, or zero.
    fn epsilons(&self) -> Result<(), String> {
        for key in ["layer_norm_epsilon", "layer_norm_rms_epsilon", "group_norm_epsilon"] {
            let full = format!("{}.attention.{key}", self.architecture);
            match self.values.get(&full) {
                None => {}
                Some(Value::Float(epsilon)) if (0.0..=1.0).contains(epsilon) => {}
                Some(_) => return Err(format!("its {key} is out of bounds")),
            }
        }
        Ok(())
    }

    fn positions(&self) -> Result<(), String> {
        let key = format!("{}.rope.scaling.type", self.architecture);
        match self.values.get(&key) {
            None => Ok(()),
            Some(Value::Text(kind)) if ROPE_SCALINGS.contains(&kind.as_str()) => Ok(()),
            Some(_) => Err("its scaling of positions is unknown".to_owned()),
        }
    }
}

/// Checks that the vocabulary's lists and special tokens fit together; its tokens.
fn vocabulary(values: &HashMap<String, Value>, known: &Vocabulary) -> Result<u64, String> {
    let tokens = match values.get(TOKENS) {
        Some(Value::List(Kind::Text, tokens, _)) if *tokens > 0 => *tokens,
        _ => return Err("it has no tokens".to_owned()),
    };
    match values.get("tokenizer.ggml.model") {
        Some(Value::Text(model)) if TOKENIZERS.contains(&model.as_str()) => {
            if model == SENTENCE_PIECE && !known.has_all_bytes {
                return Err("a byte has no token".to_owned());
            }
        }
        _ => return Err("its tokenizer is not one that is known to write text".to_owned()),
    }
    if known.has_twins {
        return Err("a token is there twice".to_owned());
    }
    let list = |key: &str, kinds: &[Kind], length: Option<u64>| match values.get(key) {
        None => Ok(()),
        Some(Value::List(kind, len, _))
            if kinds.contains(kind) && length.is_none_or(|length| length == *len) =>
        {
            Ok(())
        }
        Some(_) => Err(format!("its {key} does not fit its tokens")),
    };
    list("tokenizer.ggml.scores", &[Kind::Float(4), Kind::Signed(4)], Some(tokens))?;
    list("tokenizer.ggml.token_type", &[Kind::Signed(4), Kind::Unsigned(4)], Some(tokens))?;
    list("tokenizer.ggml.merges", &[Kind::Text], None)?;
    for (key, value) in values {
        let is_special = key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id");
        let known = match value {
            Value::Number(id) => u64::try_from(*id).is_ok_and(|id| id < tokens),
            _ => false,
        };
        // All ones stands for no token.
        let none = matches!(value, Value::Number(id) if *id == i128::from(u32::MAX));
        if is_special && !known && !none {
            return Err("a special token is none of its tokens".to_owned());
        }
    }
    Ok(tokens)
}
