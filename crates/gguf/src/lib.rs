//! A language model inside the program, for [`automation_assistant`]: a GGUF file run by
//! llama.cpp. No server, no socket, no second process, no key.
//!
//! ```no_run
//! use automation_assistant::AutomationAssistantManager;
//! use automation_assistant_gguf::create_gguf_helper;
//! use std::time::Duration;
//!
//! let manager = AutomationAssistantManager::new(2);
//! let helper = create_gguf_helper(&manager, "phone", "model.gguf")?;
//! let task = manager.submit_task(helper, "What is the capital of France?")?;
//! println!("{:?}", manager.wait_task(helper, task, Duration::from_secs(60))?.result);
//! # Ok::<(), automation_assistant::Error>(())
//! ```
//!
//! [`GgufBackend::builder`] has the settings. A [`GgufBackend`] is cheap to clone, and all clones
//! share one copy of the weights: give a clone to each helper. Each call that runs at the same
//! time as others has a context of its own, made when it is first needed and then used again.
//!
//! # What a request may ask
//!
//! System prompt, context, earlier turns, streaming, `max_output_tokens`, tools and reply schema,
//! as everywhere; pictures are not shown to the model. By `custom_param` of the request or the
//! helper (another provider's parameters are ignored):
//!
//! | parameter | meaning | default |
//! |---|---|---|
//! | `temperature` | 0 to 5; at 0 the likeliest token is taken | 0 |
//! | `top_p` | above 0, at most 1: the smallest set of tokens of this probability | 1 |
//! | `top_k` | this many of the likeliest tokens; 0 for all | 40 |
//! | `seed` | the same seed and request give the same answer; computed afresh | the builder's, else random |
//! | `max_tokens`, `max_completion_tokens` | as `max_output_tokens` | what is left of the context |
//! | `stop` | a text or up to 16 texts that end the answer, and are not part of it | none |
//! | `tool_choice` | `auto`, `none`, or `required`: the first reply calls a tool | `auto` |
//!
//! Tools: the model's reply is either a call or an answer. A call that repeats the one before it
//! is not run again: the model then has to answer, for small ones go round in circles.
//!
//! Reasoning that the model writes in `<think>…</think>` before its answer goes to the request's
//! `on_reasoning`, is counted in `Usage::reasoning_tokens`, and is no part of the answer. Replies
//! that follow a schema have none: the schema begins with the first token.
//!
//! A prompt's beginning that a context still has (instructions, tools, earlier turns and answers)
//! is not computed again. Numbers computed in other batches differ in their last bits, which tips the
//! choice between two words that are about equally likely: with a small model, often enough that
//! some answers differ the second time, also at temperature 0. A request with a `seed`, its own or the
//! builder's, is computed afresh, and repeats its answer to the letter, at any temperature.
//!
//! # Bounds and ends
//!
//! Cancel and deadline are checked before each batch of the prompt and before each token. A batch
//! has as many tokens as are computed in 200 ms, from 8 to the builder's `batch_tokens`; with a
//! `seed` always 32, or `batch_tokens` if that is less. llama.cpp cuts the prompt into tokens at
//! once, before that: seconds for hundreds of kilobytes without a space, with tokenizers that are
//! not byte-level. The text of a control token in a prompt (`<|im_end|>`) is taken for that
//! token. A prompt that leaves no token for the answer is `ContextLengthExceeded`, with
//! both numbers. When the context is full, the answer ends with `FinishReason::Length`.
//!
//! A run of more than 256 characters without white space, or of white space alone, is cut there for
//! byte-level tokenizers, whose splitting in llama.cpp takes stack for each character: its tokens
//! differ a little from those of llama.cpp's server. A reply schema may have 64 `$ref`; schemas need
//! the default stack of a helper's thread (1 MiB).
//!
//! Before the weights are loaded, what they and one context need is compared with the memory
//! that the device has available; so is each further context.
//!
//! # Faults that cannot be caught
//!
//! llama.cpp is C++. A panic of Rust becomes a `Panicked` task; an assertion that fails inside
//! C++, an exception that leaves it, or a wild pointer ends the whole process, and no Rust code
//! can prevent it. Therefore the file's header is checked before llama.cpp sees the file (see
//! [`Header`]), its grammars are not used (they throw), and sampling is done in Rust. Left
//! are: a file whose header is in order and whose tensors have shapes that its architecture does
//! not expect, a file that is overwritten while it is mapped, and faults of llama.cpp itself.
//! Load files that you trust. Where a fault must be kept away from the program, run the model in
//! a process of its own: a small program with this crate, or llama.cpp's server behind
//! `HelperConfig::local().api_endpoint(..)`.

mod backend;
mod builder;
mod context;
mod error;
mod generate;
mod header;
mod memory;
mod pace;
mod params;
mod prompt;
mod sample;
mod schema;
mod template;
mod text;
mod thoughts;
mod tokens;
mod weights;

pub use backend::{GgufBackend, create_gguf_helper};
pub use builder::{
    DEFAULT_BATCH_TOKENS, DEFAULT_CONTEXT_TOKENS, GgufBuilder, MAX_BATCH_TOKENS, MAX_THREADS,
    MIN_CONTEXT_TOKENS,
};
pub use error::LoadError;
pub use header::Header;
