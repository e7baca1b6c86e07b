//! A context: the tokens that the model has seen, and what it computed of them.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use automation_assistant::{ErrorKind, TaskError};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;
use self_cell::self_cell;

use crate::memory;
use crate::pace::Pace;
use crate::weights::{Weights, llama};

self_cell!(
    struct Borrowing {
        owner: Arc<Weights>,
        #[covariant]
        dependent: LlamaContext,
    }
);

/// On processors flash attention is quick for batches of 64 tokens and more alone.
const NO_FLASH_ATTENTION: i32 = 0;

/// The only sequence of a context.
const SEQUENCE: i32 = 0;

/// A context, kept with the weights that it borrows.
pub(crate) struct Context {
    cell: Borrowing,
    batch: LlamaBatch<'static>,
    pace: Pace,
    /// The tokens that the model has seen: a prompt, and its answer as far as it was computed.
    tokens: Vec<LlamaToken>,
}

impl Context {
    /// A new context of these weights.
    pub(crate) fn new(weights: &Arc<Weights>) -> Result<Self, TaskError> {
        let made = weights.making.lock().unwrap_or_else(PoisonError::into_inner);
        memory::admit(weights.context_bytes).map_err(|(needed, available)| {
            let what = format!(
                "one more context needs {needed} bytes, the device has {available} available: \
                 run fewer tasks at once, or set fewer context_tokens"
            );
            TaskError::new(ErrorKind::Other, what)
        })?;
        let settings = weights.settings;
        let threads = i32::try_from(settings.threads).unwrap_or(1);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(settings.context_tokens))
            .with_n_batch(settings.batch_tokens)
            .with_n_ubatch(settings.batch_tokens)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_flash_attention_policy(NO_FLASH_ATTENTION)
            .with_no_perf(true);
        let cell = Borrowing::try_new(weights.clone(), |weights| {
            weights.model.new_context(llama(), params)
        });
        drop(made);
        let cell = cell.map_err(|_| {
            TaskError::new(ErrorKind::Other, "llama.cpp could not make a context for the task")
        })?;
        let batch_tokens = settings.batch_tokens as usize;
        Ok(Self {
            cell,
            batch: LlamaBatch::new(batch_tokens, 1),
            pace: Pace::new(batch_tokens),
            tokens: Vec::new(),
        })
    }

    pub(crate) fn weights(&self) -> &Arc<Weights> {
        self.cell.borrow_owner()
    }

    /// Tokens that still fit.
    pub(crate) fn free_tokens(&self) -> usize {
        (self.weights().settings.context_tokens as usize).saturating_sub(self.tokens.len())
    }

    /// Computes a prompt, with `check` before each batch. The beginning that
    /// the context still has is not computed again, unless it shall be computed afresh. Returns how many
    /// tokens were there already.
    pub(crate) fn prefill(
        &mut self,
        prompt: &[LlamaToken],
        afresh: bool,
        mut check: impl FnMut() -> Result<(), TaskError>,
    ) -> Result<usize, TaskError> {
        let same = self.tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        // The last token is always computed: the answer begins with what comes of it.
        let kept = if afresh { 0 } else { same.min(prompt.len().saturating_sub(1)) };
        self.keep(kept);
        let kept = self.tokens.len();
        let mut left = &prompt[kept..];
        while !left.is_empty() {
            check()?;
            let (batch, rest) = left.split_at(self.pace.next(afresh).min(left.len()));
            let begun = Instant::now();
            self.compute(batch, rest.is_empty())?;
            self.pace.note(batch.len(), begun.elapsed());
            left = rest;
        }
        Ok(kept)
    }

    /// Forgets all but the first tokens; everything where the model cannot forget a part (a
    /// recurrent one).
    fn keep(&mut self, count: usize) {
        let sequence = Some(SEQUENCE.cast_unsigned());
        let from = u32::try_from(count).ok();
        self.tokens.truncate(count);
        self.cell.with_dependent_mut(|_, context| {
            if !matches!(context.clear_kv_cache_seq(sequence, from, None), Ok(true)) {
                context.clear_kv_cache();
                self.tokens.clear();
            }
        });
    }

    /// Computes one more token.
    pub(crate) fn decode(&mut self, token: LlamaToken) -> Result<(), TaskError> {
        self.compute(&[token], true)
    }

    /// Computes further tokens, at most a batch of them, and where `wants_logits` says so what
    /// [`logits`](Self::logits) returns. With SmolLM2-135M those cost a fifth of a token.
    fn compute(&mut self, tokens: &[LlamaToken], wants_logits: bool) -> Result<(), TaskError> {
        self.batch.clear();
        let last = tokens.len().saturating_sub(1);
        for (at, &token) in tokens.iter().enumerate() {
            let place = i32::try_from(self.tokens.len() + at).unwrap_or(i32::MAX);
            let wanted = wants_logits && at == last;
            self.batch.add(token, place, &[SEQUENCE], wanted).map_err(|_| broken())?;
        }
        let Self { cell, batch, .. } = self;
        if cell.with_dependent_mut(|_, context| context.decode(batch)).is_err() {
            // The context's content is not known now.
            self.keep(0);
            return Err(broken());
        }
        self.tokens.extend_from_slice(tokens);
        Ok(())
    }

    /// How likely each token of the vocabulary is to come next.
    pub(crate) fn logits(&self) -> &[f32] {
        /// The last one computed.
        const LAST: i32 = -1;
        self.cell.borrow_dependent().get_logits_ith(LAST)
    }
}

fn broken() -> TaskError {
    TaskError::new(ErrorKind::Other, "llama.cpp failed to compute the next tokens")
}
