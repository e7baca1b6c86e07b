//! The report as one page: inline style and pictures, no script, nothing fetched.
//!
//! Every picture has its numbers beside it, or in a table that unfolds; each meaning of a colour
//! is in words or shapes too. The page's size is bounded, as the counts are.

mod comparison;
mod latency;
mod lists;
mod span;
mod time;
mod units;
mod write;

use super::order::sort_short;
use super::stats::BackendStats;
use super::{Debrief, Health};
use span::TimeSpan;
use units::{count, percent};
use write::Page;

const STYLE: &str = include_str!("style.css");

/// Backends with pictures of their own, the busiest; tables have all.
const CARDS_MAX: usize = 12;

/// A page must reach nothing, whatever stands in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Fills of the parts of a bar: they differ in pattern, not in colour alone.
const FILLS: &str = r#"<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>
<pattern id="queue" width="8" height="8" patternUnits="userSpaceOnUse"><rect class="fe" width="8" height="8"/><circle class="fbg" cx="4" cy="4" r="1.6"/></pattern>
<pattern id="backoff" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="fb" width="8" height="8"/><rect class="fbg" width="2.5" height="8"/></pattern>
<pattern id="first" width="8" height="8" patternUnits="userSpaceOnUse"><rect class="fa" width="8" height="8"/></pattern>
<pattern id="rest" width="6" height="6" patternUnits="userSpaceOnUse"><rect class="fd" width="6" height="6"/><rect class="fbg" width="6" height="1.5"/></pattern>
<pattern id="whole" width="8" height="8" patternUnits="userSpaceOnUse"><rect class="fc" width="8" height="8"/><rect class="fbg" width="1.5" height="8"/></pattern>
</defs></svg>
"#;

pub(super) fn report(debrief: &Debrief) -> String {
    let mut page = begin("Telemetry debrief");
    let span = TimeSpan::new(&debrief.counts.history.timeline);
    if let Some(span) = &span {
        page.paragraph("soft", span.period());
    }
    health(debrief, &mut page);
    tiles(debrief, &mut page);
    time::over_time(debrief, span.as_ref(), &mut page);
    latency::distributions(debrief, &mut page);
    latency::where_time_went(debrief, &mut page);
    lists::tokens_and_cost(debrief, &mut page);
    lists::errors(debrief, &mut page);
    lists::on_the_way(debrief, &mut page);
    time::by_run(debrief, &mut page);
    lists::audit_file(debrief, &mut page);
    lists::other_events(debrief, &mut page);
    end(page)
}

fn begin(title: &str) -> Page {
    let mut page = Page(String::new());
    page.add(format_args!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n{FILLS}<main>\n<h1>{title}</h1>\n"
    ));
    page
}

fn end(mut page: Page) -> String {
    page.add(concat!(
        "</main>\n<footer>Made by automation-assistant ",
        env!("CARGO_PKG_VERSION"),
        ". Times of day are in UTC. p50 and p95 over time and by run are within 10 % of exact, \
         those of backends within 1 %.</footer>\n</body>\n</html>\n"
    ));
    page.0
}

/// A health's sign, word and class.
fn sign(health: Health) -> (&'static str, &'static str, &'static str) {
    match health {
        Health::Ok => ("●", "OK", "ok"),
        Health::Degraded => ("▲", "Degraded", "warn"),
        Health::Critical => ("■", "Critical", "bad"),
    }
}

fn health(debrief: &Debrief, page: &mut Page) {
    let (sign, word, class) = sign(debrief.health());
    page.add(format_args!(
        "<div class=\"health {class}\"><strong>{sign} {word}</strong><p>{}</p></div>\n",
        lists::why(debrief)
    ));
}

fn tiles(debrief: &Debrief, page: &mut Page) {
    let counts = &debrief.counts;
    let (events, tasks, calls) = (counts.events, counts.tasks, counts.attempts);
    let runs = match counts.runs.at_least {
        true => format!("at least {}", count(debrief.total_runs())),
        false => count(debrief.total_runs()),
    };
    let failed =
        |failed: u64, all: u64| format!("{} failed ({})", count(failed), percent(failed, all));
    let mut tiles = vec![
        ("Events", count(events.total()), failed(events.failed, events.total())),
        ("Runs", runs, format!("{} ended cleanly", count(counts.runs.ended))),
    ];
    if tasks.total() > 0 {
        tiles.push(("Tasks", count(tasks.total()), failed(tasks.failed, tasks.total())));
    }
    if calls.total() > 0 {
        let retried = format!("{} were retries", count(counts.retried));
        tiles.push(("Calls", count(calls.total()), retried));
    }
    if counts.tokens.reported > 0 {
        let tokens = &counts.tokens;
        let all = count(tokens.prompt.saturating_add(tokens.completion));
        tiles.push(("Tokens", all, format!("{} of them completion", count(tokens.completion))));
    }
    if counts.costs.priced > 0 {
        let unpriced = counts.costs.unpriced + counts.costs.usage_missing;
        let rest = format!("{} tasks without a price", count(unpriced));
        tiles.push(("Cost", lists::money(counts.costs.nano), rest));
    }
    page.add("<dl class=\"tiles\">\n");
    for (name, number, rest) in tiles {
        page.add(format_args!(
            "<div><dt>{name}</dt><dd>{number}<small>{rest}</small></dd></div>\n"
        ));
    }
    page.add("</dl>\n");
}

/// The backends with the most events, at most [`CARDS_MAX`], the busiest first.
fn busiest(debrief: &Debrief) -> Vec<&BackendStats> {
    let mut all: Vec<_> = debrief.backends.iter().collect();
    sort_short(&mut all, |a, b| a.calls > b.calls);
    all.truncate(CARDS_MAX);
    all
}
