//! Counts of one sort of fact each, with a bound on everything that is kept.

use super::order::sort_short;
use super::record::{LineFields, NumberField, RawText, TextField};
use crate::text::clean;

/// Texts of errors, with their kinds, counted at one time; see [`Errors`].
const ERRORS_MAX: usize = 128;

/// Fallbacks, decisions of the admission policy, and names of events of others, with counts of
/// their own; further ones are counted together.
pub(super) const WAYS_MAX: usize = 16;

/// Longest name of a backend that is kept, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// Longest text of an error that is kept, in bytes.
const ERROR_BYTES_MAX: usize = 512;

/// The name of all names beyond a bound.
pub(super) const OTHERS: &str = "(others)";

/// Text of an error that a line does not name.
const NO_ERROR: &str = "(no error text)";

/// Texts with their kinds and counts, in bounded memory: when all places are taken, the rarest is
/// dropped, and its count is added to the others. Those that are frequent throughout stay.
#[derive(Clone, Default)]
pub(super) struct Errors {
    places: Vec<(Vec<u8>, ErrorCount)>,
    pub(super) others: u64,
}

/// One text of errors of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorCount {
    pub(super) text: String,
    pub(super) kind: Option<String>,
    pub(super) count: u64,
}

/// How often errors were of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KindCount {
    pub(super) name: String,
    /// Failed events: a task's last call, and the task itself.
    pub(super) events: u64,
    /// Failed tasks.
    pub(super) tasks: u64,
}

/// How events of one sort ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) done: u64,
    pub(super) failed: u64,
}

impl Ends {
    pub(super) fn add(&mut self, success: bool) {
        self.done += u64::from(success);
        self.failed += u64::from(!success);
    }

    pub(super) fn total(self) -> u64 {
        self.done.saturating_add(self.failed)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let done = self.done.saturating_add(other.done);
        Self { done, failed: self.failed.saturating_add(other.failed) }
    }
}

/// Tokens, as one sort of line reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) prompt: u64,
    pub(super) completion: u64,
    /// Lines that reported tokens.
    pub(super) reported: u64,
    /// Lines of success without tokens.
    pub(super) missing: u64,
}

/// The cost of tasks, by the price lists of their helpers. Tasks without a price are counted
/// apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Costs {
    /// Billionths of the price lists' unit.
    pub(super) nano: u64,
    pub(super) priced: u64,
    /// Tasks with tokens, but no price.
    pub(super) unpriced: u64,
    /// Tasks of success without tokens.
    pub(super) usage_missing: u64,
}

/// Deviations in servers' replies that were accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    pub(super) count: u64,
    /// Calls with one or more.
    pub(super) calls: u64,
}

/// Lines that are no events of ours, and the writers' reports on themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineCounts {
    /// No JSON objects.
    pub(super) broken: u64,
    /// Longer than the reader's bound.
    pub(super) too_long: u64,
    /// JSON without a run id.
    pub(super) foreign: u64,
    /// Lines, or parts of broken ones, that are no strict JSON and were read all the same.
    pub(super) mended: u64,
    /// NUL bytes between lines.
    pub(super) nul_bytes: u64,
    /// The last line was broken off.
    pub(super) torn_end: bool,
    pub(super) repairs: u64,
    pub(super) bytes_dropped: u64,
    pub(super) lost: u64,
    pub(super) reopened: u64,
}

/// The counts of trace exports.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Traces {
    pub(super) sent: u64,
    pub(super) dropped: u64,
    pub(super) retried: u64,
}

/// Up to three texts, and how often they occurred together.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways {
    pub(super) list: Vec<([String; 3], u64)>,
}

impl Ways {
    /// Counts a line by its texts of these names; the others are empty.
    pub(super) fn add(&mut self, record: &LineFields<'_>, names: &[TextField]) {
        let mut texts: [String; 3] = Default::default();
        for (text, name) in texts.iter_mut().zip(names) {
            let found = record.text(*name).map(RawText::decode).unwrap_or_default();
            *text = clean(&found, NAME_BYTES_MAX);
        }
        if self.list.len() >= WAYS_MAX && self.list.iter().all(|way| way.0 != texts) {
            texts = names_of_others(names.len());
        }
        match self.list.iter_mut().find(|way| way.0 == texts) {
            Some(way) => way.1 += 1,
            None => self.list.push((texts, 1)),
        }
    }
}

fn names_of_others(count: usize) -> [String; 3] {
    std::array::from_fn(|place| if place < count { OTHERS } else { "" }.to_owned())
}

/// Adds a number of a line. Sums stay at their greatest value, for a line may hold any number.
pub(super) fn add(sum: &mut u64, record: &LineFields<'_>, number: NumberField) {
    *sum = sum.saturating_add(record.count(number).unwrap_or(0));
}

impl Traces {
    pub(super) fn add(&mut self, record: &LineFields<'_>) {
        add(&mut self.sent, record, NumberField::Sent);
        add(&mut self.dropped, record, NumberField::Dropped);
        add(&mut self.retried, record, NumberField::Retried);
    }
}

impl Tokens {
    pub(super) fn add(&mut self, record: &LineFields<'_>, success: bool) {
        let numbers = [NumberField::PromptTokens, NumberField::CompletionTokens];
        if numbers.iter().any(|number| record.count(*number).is_some()) {
            self.reported += 1;
            add(&mut self.prompt, record, NumberField::PromptTokens);
            add(&mut self.completion, record, NumberField::CompletionTokens);
        } else {
            self.missing += u64::from(success);
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.saturating_add(other.prompt),
            completion: self.completion.saturating_add(other.completion),
            reported: self.reported + other.reported,
            missing: self.missing + other.missing,
        }
    }
}

impl Costs {
    pub(super) fn add(&mut self, record: &LineFields<'_>, success: bool) {
        if record.count(NumberField::CostNano).is_some() {
            self.priced += 1;
            add(&mut self.nano, record, NumberField::CostNano);
        } else if record.count(NumberField::PromptTokens).is_some() {
            self.unpriced += 1;
        } else {
            self.usage_missing += u64::from(success);
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            nano: self.nano.saturating_add(other.nano),
            priced: self.priced + other.priced,
            unpriced: self.unpriced + other.unpriced,
            usage_missing: self.usage_missing + other.usage_missing,
        }
    }
}

impl Oddities {
    pub(super) fn add(&mut self, record: &LineFields<'_>) {
        let found = record.count(NumberField::Oddities).is_some_and(|count| count > 0);
        self.calls += u64::from(found);
        add(&mut self.count, record, NumberField::Oddities);
    }
}

impl Errors {
    pub(super) fn add(&mut self, text: Option<RawText<'_>>, kind: Option<RawText<'_>>) {
        let raw = text.map_or(NO_ERROR.as_bytes(), RawText::raw);
        let raw = raw.get(..ERROR_BYTES_MAX).unwrap_or(raw);
        let raw_kind = kind.map(RawText::raw);
        let is = |known: &&mut (Vec<u8>, ErrorCount)| {
            known.0 == raw && known.1.kind.as_ref().map(String::as_bytes) == raw_kind
        };
        if let Some(known) = self.places.iter_mut().find(is) {
            known.1.count += 1;
            return;
        }
        let text = clean(&text.map_or(NO_ERROR.into(), RawText::decode), ERROR_BYTES_MAX);
        let kind = kind.map(|kind| clean(&kind.decode(), NAME_BYTES_MAX));
        // One text can be written in several ways.
        let is = |known: &&mut (Vec<u8>, ErrorCount)| known.1.text == text && known.1.kind == kind;
        if let Some(known) = self.places.iter_mut().find(is) {
            known.1.count += 1;
            return;
        }
        if self.places.len() >= ERRORS_MAX {
            let counts = self.places.iter().enumerate();
            let rarest = counts.min_by_key(|(_, known)| known.1.count).map_or(0, |(at, _)| at);
            self.others += self.places.swap_remove(rarest).1.count;
        }
        self.places.push((raw.to_vec(), ErrorCount { text, kind, count: 1 }));
    }

    /// The most frequent first; of equals, by the alphabet.
    pub(super) fn sorted(self) -> Vec<ErrorCount> {
        let mut sorted: Vec<_> = self.places.into_iter().map(|(_, count)| count).collect();
        sort_short(&mut sorted, |a, b| (b.count, &a.text, &a.kind) < (a.count, &b.text, &b.kind));
        sorted
    }
}
