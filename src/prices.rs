//! Prices of tokens.

use std::collections::BTreeMap;

use crate::task::Usage;

/// The unit that providers price: a million tokens.
const PRICED_TOKENS: f64 = 1e6;

/// The price of a million tokens of one model, in the currency of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Price {
    /// Tokens of prompts.
    pub prompt: f64,
    /// Tokens of prompts that came from the provider's cache. Defaults to the price of other
    /// prompt tokens.
    pub cached: f64,
    /// Tokens of answers, reasoning included.
    pub completion: f64,
}

impl Price {
    /// A price per million tokens of prompts and of answers.
    pub const fn per_million(prompt: f64, completion: f64) -> Self {
        Self { prompt, cached: prompt, completion }
    }

    /// The same with a price per million tokens from the provider's cache.
    #[must_use]
    pub const fn cached(mut self, price: f64) -> Self {
        self.cached = price;
        self
    }
}

/// A table of prices by model. The library contains no prices: they change, and a wrong one is
/// worse than none.
///
/// A model that is not in the table has an unknown price, not a price of zero.
///
/// ```
/// use automation_assistant::Usage;
/// use automation_assistant::limits::{Price, Prices};
///
/// let prices = Prices::new().model("gpt-4o-mini", Price::per_million(0.15, 0.60));
/// let cost = prices.cost("gpt-4o-mini-2024-07-18", &Usage::new(1_000_000, 500_000));
/// assert!((cost.unwrap() - 0.45).abs() < 1e-9);
/// assert_eq!(prices.cost("gpt-4o", &Usage::new(1, 1)), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a model's price. The name also stands for its dated versions (`name-2024-07-18`,
    /// `name-0613`), unless they have a price of their own.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>, price: Price) -> Self {
        self.0.insert(name.into(), price);
        self
    }

    /// The price of a model; `None` if the table has none.
    pub fn price(&self, model: &str) -> Option<&Price> {
        self.0.get(model).or_else(|| self.0.get(undated(model)?))
    }

    /// The cost of this usage at this model; `None` if the table has no price for it, or that
    /// price gives no finite cost of at least 0.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<f64> {
        let price = self.price(model)?;
        // A provider may report more cached tokens than prompt tokens: the cost must not become
        // negative.
        let cached = usage.cached_tokens.unwrap_or(0).min(usage.prompt_tokens);
        let fresh = usage.prompt_tokens - cached;
        let sum = fresh as f64 * price.prompt
            + cached as f64 * price.cached
            + usage.completion_tokens as f64 * price.completion;
        Some(sum / PRICED_TOKENS).filter(|cost| cost.is_finite() && *cost >= 0.0)
    }
}

/// Digits of a date without hyphens, at least and at most: `0613`, `20240718`.
const DATE_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;
/// Digits of a date's parts: `2024-07-18`.
const DATE_PARTS: [usize; 3] = [4, 2, 2];

/// A model's name without the date at its end; `None` if there is no date.
fn undated(model: &str) -> Option<&str> {
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    // Name and date, with the date's parts from the last one backwards.
    let mut parts = model.rsplitn(DATE_PARTS.len() + 1, '-');
    let (day, month, year) = (parts.next()?, parts.next(), parts.next());
    if let (Some(month), Some(year), Some(name)) = (month, year, parts.next()) {
        let date = [year, month, day];
        if date.iter().all(|part| is_number(part)) && date.map(str::len) == DATE_PARTS {
            return Some(name);
        }
    }
    let (name, date) = model.rsplit_once('-')?;
    (is_number(date) && DATE_DIGITS.contains(&date.len())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_its_dated_versions_and_no_other_model() {
        let price = Price::per_million(1.0, 2.0);
        let prices = Prices::new().model("gpt-4", price).model("gpt-4-0613", price.cached(0.5));
        assert_eq!(prices.price("gpt-4-0314"), Some(&price));
        assert_eq!(prices.price("gpt-4-2024-08-06"), Some(&price));
        assert_eq!(prices.price("gpt-4-0613").unwrap().cached, 0.5);
        for other in ["gpt-4-32k", "gpt-4o", "gpt-4-mini-0613", "gpt", "", "gpt-4-1", "gpt-4-20-24"]
        {
            assert_eq!(prices.price(other), None, "{other}");
        }
    }

    #[test]
    fn cached_tokens_have_their_own_price() {
        let prices = Prices::new().model("m", Price::per_million(10.0, 0.0).cached(1.0));
        let mut usage = Usage::new(1_000_000, 0);
        usage.cached_tokens = Some(500_000);
        assert_eq!(prices.cost("m", &usage), Some(5.5));
        usage.cached_tokens = Some(u64::MAX);
        assert_eq!(prices.cost("m", &usage), Some(1.0));
    }

    #[test]
    fn what_is_no_price_gives_no_cost() {
        for price in [f64::NAN, f64::INFINITY, f64::MAX, -1.0] {
            let prices = Prices::new().model("m", Price::per_million(price, price));
            assert_eq!(prices.cost("m", &Usage::new(u64::MAX, u64::MAX)), None, "{price}");
        }
    }
}
