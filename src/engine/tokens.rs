//! Tokens, as providers report them.

use crate::task::Usage;

/// Token counts as a provider reports them, all at once or in several events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TokenCounts {
    /// Tokens read, cached ones included.
    pub(crate) prompt: Option<u64>,
    /// Tokens written, reasoning included.
    pub(crate) completion: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) cached: Option<u64>,
    pub(crate) reasoning: Option<u64>,
}

impl TokenCounts {
    /// Takes a later report in. Reports are cumulative: a count that is there replaces the one
    /// before, but a zero does not replace more.
    pub(crate) fn merge(&mut self, later: &Self) {
        let newer = |new: Option<u64>, old: Option<u64>| match (new, old) {
            (Some(0), Some(_)) | (None, _) => old,
            (new, _) => new,
        };
        self.prompt = newer(later.prompt, self.prompt);
        self.completion = newer(later.completion, self.completion);
        self.total = newer(later.total, self.total);
        self.cached = newer(later.cached, self.cached);
        self.reasoning = newer(later.reasoning, self.reasoning);
    }

    /// The usage, unless nothing was reported.
    pub(crate) fn usage(&self) -> Option<Usage> {
        if let (None, None, None) = (self.prompt, self.completion, self.total) {
            return None;
        }
        let mut usage = Usage::new(self.prompt.unwrap_or(0), self.completion.unwrap_or(0));
        usage.total_tokens = self.total.filter(|total| *total > 0).unwrap_or(usage.total_tokens);
        usage.cached_tokens = self.cached;
        usage.reasoning_tokens = self.reasoning;
        Some(usage)
    }
}
