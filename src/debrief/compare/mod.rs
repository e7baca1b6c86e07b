//! The differences between two reports, and whether they can be chance.

mod chance;
mod text;

use std::cmp::Ordering;
use std::fmt;

use super::facts::{NANO_PER_UNIT, millis, percent};
use super::stats::BackendStats;
use super::{Debrief, Health};
use crate::number::fixed;
use chance::{Proportion, ranks, shares};

/// Below this probability a difference is called no chance: one in a hundred.
const NO_CHANCE_BELOW: f64 = 0.01;
/// From here on a difference is called chance; between the two nothing is said.
const CHANCE_FROM: f64 = 0.05;

/// The differences between two reports. [`Debrief::compare`] creates it.
///
/// `Display` prints it for a console; [`to_markdown`](Self::to_markdown) and
/// [`to_html`](Self::to_html) have the same content.
///
/// Shares (of failed tasks, say) are compared by Fisher's exact test or, where counts are large,
/// a z-test; latencies by Mann and Whitney's rank test. A difference is called "not chance" where
/// its probability is below 1 %, "can be chance" from 5 % on, and "unclear" between. The tests
/// assume that calls are independent of each other. Failures in bursts are not: a small
/// probability then means less than it seems to.
#[derive(Debug, Clone)]
pub struct Comparison {
    pub(super) health: [Health; 2],
    pub(super) groups: Vec<Group>,
}

/// The differences of one subject.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) changes: Vec<Change>,
}

/// One number before and after.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) what: String,
    pub(super) before: String,
    pub(super) after: String,
    /// The later number compared with the earlier one; `None` where one is missing.
    pub(super) direction: Option<Ordering>,
    pub(super) verdict: ChanceVerdict,
}

/// The result of a test of a difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ChanceVerdict {
    /// There is no test for it.
    Untested,
    TooFew,
    Chance(f64),
    Unclear(f64),
    NoChance(f64),
}

impl ChanceVerdict {
    fn of(probability: Option<f64>) -> Self {
        match probability {
            None => Self::TooFew,
            Some(p) if p < NO_CHANCE_BELOW => Self::NoChance(p),
            Some(p) if p < CHANCE_FROM => Self::Unclear(p),
            Some(p) => Self::Chance(p),
        }
    }
}

impl fmt::Display for ChanceVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, p) = match self {
            Self::Untested => return Ok(()),
            Self::TooFew => return f.write_str("too few to compare"),
            Self::Chance(p) => ("can be chance", p),
            Self::Unclear(p) => ("unclear", p),
            Self::NoChance(p) => ("not chance", p),
        };
        match fixed(*p, 3).as_str() {
            "0.000" => write!(f, "{word} (p < 0.001)"),
            p => write!(f, "{word} (p = {p})"),
        }
    }
}

impl Comparison {
    /// Whether at least one tested difference has a probability below 1 %.
    pub fn differs(&self) -> bool {
        self.count(|verdict| matches!(verdict, ChanceVerdict::NoChance(_))) > 0
    }

    /// The comparison as Markdown.
    pub fn to_markdown(&self) -> String {
        text::markdown(self)
    }

    fn count(&self, is: impl Fn(ChanceVerdict) -> bool) -> usize {
        let changes = self.groups.iter().flat_map(|group| &group.changes);
        changes.filter(|change| is(change.verdict)).count()
    }

    /// The result in one sentence.
    pub(super) fn headline(&self) -> String {
        let tested = self.count(|verdict| verdict != ChanceVerdict::Untested);
        let real = self.count(|verdict| matches!(verdict, ChanceVerdict::NoChance(_)));
        match (tested, real) {
            (0, _) => "There is nothing to compare.".to_owned(),
            (tested, 0) => format!("No difference that cannot be chance ({tested} tested)."),
            (tested, real) => {
                format!("Differences that are not chance: {real} of {tested} tested.")
            }
        }
    }

    pub(super) fn new(before: &Debrief, after: &Debrief) -> Self {
        let mut groups = vec![overall(before, after)];
        let name = |stats: &BackendStats| stats.name.clone();
        let mut names: Vec<_> = before.backends.iter().map(name).collect();
        let later = after.backends.iter().map(name);
        names.extend(later.filter(|name| before.backends.iter().all(|stats| stats.name != *name)));
        for title in names {
            let of = |debrief: &'_ Debrief| {
                debrief.backends.iter().find(|stats| stats.name == title).cloned()
            };
            let changes = match (of(before), of(after)) {
                (Some(before), Some(after)) => backend(&before, &after),
                (before, after) => vec![only_one(before, after)],
            };
            groups.push(Group { title, changes });
        }
        let errors = errors(before, after);
        if !errors.is_empty() {
            groups.push(Group { title: "Kinds of error".to_owned(), changes: errors });
        }
        Self { health: [before, after].map(Debrief::health), groups }
    }
}

fn overall(before: &Debrief, after: &Debrief) -> Group {
    let [a, b] = [before, after].map(|debrief| &debrief.counts);
    let retried = |debrief: &Debrief| Proportion {
        part: debrief.counts.retried,
        whole: debrief.counts.attempts.total(),
    };
    let changes = [
        Some(counts("Events", before.total_events(), after.total_events())),
        tested("Tasks failed", failed(a.tasks), failed(b.tasks)),
        tested("Calls failed", failed(a.attempts), failed(b.attempts)),
        tested("Calls repeated", retried(before), retried(after)),
    ];
    Group { title: "All backends".to_owned(), changes: changes.into_iter().flatten().collect() }
}

fn backend(before: &BackendStats, after: &BackendStats) -> Vec<Change> {
    let mut changes = vec![counts("Events", before.calls, after.calls)];
    changes.extend(tested("Tasks failed", failed(before.tasks), failed(after.tasks)));
    changes.extend(tested("Calls failed", failed(before.attempts), failed(after.attempts)));
    let (slower, faster) = (before.latency.buckets(), after.latency.buckets());
    if before.latency.count() > 0 && after.latency.count() > 0 {
        // Each task is counted with its calls: one duration, counted more than once.
        let repeats = before.repeats().max(after.repeats());
        let mut times = |what: &str, percentile: fn(&BackendStats) -> f64, verdict| {
            let numbers = [percentile(before), percentile(after)];
            changes.push(change(what, numbers, numbers.map(millis), verdict));
        };
        let verdict = ChanceVerdict::of(ranks(slower, faster, repeats));
        times("Latency p50", |stats| stats.p50_latency_ms, verdict);
        times("Latency p95", |stats| stats.p95_latency_ms, ChanceVerdict::Untested);
    }
    let per_call = |stats: &BackendStats| {
        let tokens = stats.tokens.prompt as f64 + stats.tokens.completion as f64;
        tokens / stats.tokens.reported as f64
    };
    let tokens = [per_call(before), per_call(after)];
    if tokens.iter().all(|tokens| tokens.is_finite()) {
        let texts = tokens.map(|tokens| fixed(tokens, 1));
        changes.push(change("Tokens a call", tokens, texts, ChanceVerdict::Untested));
    }
    let per_task = |stats: &BackendStats| stats.costs.nano as f64 / stats.costs.priced as f64;
    let costs = [per_task(before), per_task(after)];
    if costs.iter().all(|cost| cost.is_finite()) {
        let texts = costs.map(|cost| money(cost.round() as u64));
        changes.push(change("Cost of a priced task", costs, texts, ChanceVerdict::Untested));
    }
    changes
}

/// The change of a backend that is in one of the reports alone.
fn only_one(before: Option<BackendStats>, after: Option<BackendStats>) -> Change {
    let text = |stats: Option<BackendStats>| {
        stats.map_or("none".to_owned(), |stats| stats.calls.to_string())
    };
    Change {
        what: "Events".to_owned(),
        before: text(before),
        after: text(after),
        direction: None,
        verdict: ChanceVerdict::Untested,
    }
}

fn errors(before: &Debrief, after: &Debrief) -> Vec<Change> {
    let count = |debrief: &Debrief, kind: &str| {
        debrief.counts.kinds.iter().find(|known| known.name == kind).map_or(0, |known| known.events)
    };
    let mut kinds: Vec<_> = before.counts.kinds.iter().map(|kind| kind.name.clone()).collect();
    for kind in &after.counts.kinds {
        if !kinds.contains(&kind.name) {
            kinds.push(kind.name.clone());
        }
    }
    let share = |debrief: &Debrief, kind: &str| Proportion {
        part: count(debrief, kind),
        whole: debrief.total_events(),
    };
    let row = |kind: &String| tested(kind, share(before, kind), share(after, kind));
    // An error of a call is its task's error too.
    kinds
        .iter()
        .filter_map(row)
        .map(|change| Change { verdict: ChanceVerdict::Untested, ..change })
        .collect()
}

fn failed(ends: super::tallies::Ends) -> Proportion {
    Proportion { part: ends.failed, whole: ends.total() }
}

fn counts(what: &str, before: u64, after: u64) -> Change {
    let texts = [before, after].map(|count| count.to_string());
    change(what, [before as f64, after as f64], texts, ChanceVerdict::Untested)
}

/// The change of a share; `None` where both sides have no events.
fn tested(what: &str, before: Proportion, after: Proportion) -> Option<Change> {
    let rate = |share: Proportion| share.part as f64 / (share.whole as f64).max(1.0);
    let text = |share: Proportion| match share.whole {
        0 => "none".to_owned(),
        whole => format!("{} ({} of {whole})", percent(rate(share)), share.part),
    };
    if before.whole + after.whole == 0 {
        return None;
    }
    let verdict = ChanceVerdict::of(shares(before, after));
    let texts = [before, after].map(text);
    Some(change(what, [before, after].map(rate), texts, verdict))
}

fn change(what: &str, numbers: [f64; 2], texts: [String; 2], verdict: ChanceVerdict) -> Change {
    let [before, after] = texts;
    let direction = numbers[1].partial_cmp(&numbers[0]);
    Change { what: what.to_owned(), before, after, direction, verdict }
}

/// An amount in the price lists' unit.
pub(super) fn money(nano: u64) -> String {
    format!("{}.{:09}", nano / NANO_PER_UNIT, nano % NANO_PER_UNIT)
}
