//! A context: the tokens that the model has seen, and what it computed of them.

use automation_assistant::{ErrorKind, TaskError};
use llama_cpp_2::LlamaContextLoadError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;
use self_cell::self_cell;

use crate::weights::Weights;
use std::sync::Arc;

self_cell!(
    struct Borrowing {
        owner: Arc<Weights>,
        #[covariant]
        dependent: LlamaContext,
    }
);

/// The only sequence of a context.
const SEQUENCE: i32 = 0;

/// A context, kept with the weights that it borrows.
pub(crate) struct Context {
    cell: Borrowing,
    batch: LlamaBatch<'static>,
    batch_tokens: usize,
    /// The prompt that the context begins with, as far as it was computed in whole batches or
    /// to its end.
    prompt: Vec<LlamaToken>,
    /// Tokens in the context.
    len: usize,
}

impl Context {
    pub(crate) fn try_new(
        weights: Arc<Weights>,
        make: impl FnOnce(&Arc<Weights>) -> Result<LlamaContext<'_>, LlamaContextLoadError>,
    ) -> Result<Self, LlamaContextLoadError> {
        let batch_tokens = weights.settings.batch_tokens as usize;
        Ok(Self {
            cell: Borrowing::try_new(weights, make)?,
            batch: LlamaBatch::new(batch_tokens, 1),
            batch_tokens,
            prompt: Vec::new(),
            len: 0,
        })
    }

    pub(crate) fn weights(&self) -> &Arc<Weights> {
        self.cell.borrow_owner()
    }

    /// Tokens that still fit.
    pub(crate) fn room(&self) -> usize {
        (self.weights().settings.context_tokens as usize).saturating_sub(self.len)
    }

    /// Computes a prompt, `check` before each batch. What the context still has of it is not
    /// computed again, but only whole batches of it: they are what a fresh context would compute,
    /// to the bit. Tells how many tokens were there already.
    pub(crate) fn prefill(
        &mut self,
        tokens: &[LlamaToken],
        mut check: impl FnMut() -> Result<(), TaskError>,
    ) -> Result<usize, TaskError> {
        let same = self.prompt.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        // The last token is always computed: the answer begins with what comes of it.
        let same = same.min(tokens.len().saturating_sub(1));
        let mut kept = same - same % self.batch_tokens;
        self.prompt.truncate(kept);
        let from = u32::try_from(kept).unwrap_or(u32::MAX);
        let sequence = Some(SEQUENCE.cast_unsigned());
        let cut = self.cell.with_dependent_mut(|_, context| {
            context.clear_kv_cache_seq(sequence, Some(from), None)
        });
        if !matches!(cut, Ok(true)) {
            // A recurrent model has no part to keep.
            self.cell.with_dependent_mut(|_, context| context.clear_kv_cache());
            self.prompt.clear();
            kept = 0;
        }
        self.len = kept;
        for batch in tokens[kept..].chunks(self.batch_tokens) {
            check()?;
            self.decode(batch)?;
            self.prompt.extend_from_slice(batch);
        }
        Ok(kept)
    }

    /// Computes further tokens, at most a batch of them.
    pub(crate) fn decode(&mut self, tokens: &[LlamaToken]) -> Result<(), TaskError> {
        self.batch.clear();
        let last = tokens.len().saturating_sub(1);
        for (at, &token) in tokens.iter().enumerate() {
            let place = i32::try_from(self.len + at).unwrap_or(i32::MAX);
            self.batch.add(token, place, &[SEQUENCE], at == last).map_err(|_| broken())?;
        }
        let Self { cell, batch, .. } = self;
        if cell.with_dependent_mut(|_, context| context.decode(batch)).is_err() {
            // What is in there now is not known.
            cell.with_dependent_mut(|_, context| context.clear_kv_cache());
            self.prompt.clear();
            self.len = 0;
            return Err(broken());
        }
        self.len += tokens.len();
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
