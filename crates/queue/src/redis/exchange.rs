//! A worker's one call, as a script.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::reply::Parts;
use super::scripts::Script;
use super::{Redis, number, text};
use crate::engine::{
    ANSWER_BYTES_MAX, Delivery, Ended, Exchange, Exchanged, Hold, How, Lapsed, Recover, Renewed,
    clean_reason, offers,
};
use crate::error::Error;

impl Redis {
    pub(super) fn run_exchange(
        &self,
        ask: &Exchange<'_>,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Exchanged, Error> {
        let mut args = vec![text(ask.worker), millis(ask.lease), text(ask.want)];
        args.push(text(match ask.recover {
            Recover::No => 0,
            Recover::LostAnswer => 1,
            Recover::Start => 2,
        }));
        args.push(text(u8::from(ask.report)));
        args.push(text(self.limits.max_job_bytes));
        args.push(text(ANSWER_BYTES_MAX));
        args.extend(self.keep_args());
        args.push(text(ask.again.min(ask.want)));
        let lanes = self.lanes(ask)?;
        args.push(text(lanes.len()));
        args.extend(lanes.into_iter().map(String::into_bytes));
        args.push(text(ask.ends.len()));
        for end in ask.ends {
            args.push(text(end.hold.id));
            args.push(text(end.hold.attempt));
            let (kind, a, b) = match &end.how {
                How::Outcome { state, record } => ("o", text(state), record.clone()),
                How::Retry { reason, delay, counts } => {
                    let reason = clean_reason(reason).into_bytes();
                    (if *counts { "r" } else { "u" }, reason, millis(*delay))
                }
                How::HandBack => ("b", Vec::new(), Vec::new()),
            };
            args.extend([text(kind), a, b]);
        }
        args.push(text(ask.held.len()));
        for hold in ask.held {
            args.extend([text(hold.id), text(hold.attempt)]);
        }
        args.push(text(ask.reported.len()));
        args.extend(ask.reported.iter().map(text));
        let answer = self.link.run(Script::Exchange, &self.prefix, &args, meanwhile)?;
        let (_, parts) = self.open(answer)?;
        self.read_exchange(parts)
    }

    fn read_exchange(&self, mut parts: Parts) -> Result<Exchanged, Error> {
        let mut out = Exchanged::default();
        let mut ends = parts.list()?;
        while !ends.is_empty() {
            out.ends.push(match ends.text()?.as_str() {
                "R" => Ended::Recorded,
                "T" => Ended::ReportedElsewhere,
                "Q" => Ended::Requeued,
                "D" => Ended::Dead,
                "C" => Ended::Canceled,
                _ => Ended::Fenced,
            });
        }
        let mut held = parts.list()?;
        while !held.is_empty() {
            out.held.push(match held.text()?.as_str() {
                "H" => Renewed::Held,
                "C" => Renewed::CancelAsked,
                _ => Renewed::Lost,
            });
        }
        let mut jobs = parts.list()?;
        while !jobs.is_empty() {
            let (id, attempt) = (jobs.parse()?, jobs.small()?);
            out.jobs.push(Delivery {
                hold: Hold { id, attempt },
                deliveries: jobs.small()?,
                key: jobs.some_text()?,
                pushed_ms: jobs.number()?,
                record: jobs.bytes()?,
            });
        }
        out.open = parts.number()?;
        self.lane_count.store(parts.number()?, Ordering::Relaxed);
        out.lapsed = Lapsed { redelivered: parts.number()?, dead: parts.number()? };
        out.unreported = parts.number()?;
        out.more = parts.number()? == 1;
        out.lapsed.redelivered = out.lapsed.redelivered.saturating_sub(out.lapsed.dead);
        Ok(out)
    }

    /// The lanes whose jobs the worker may have: high before normal before low; those of one
    /// priority take turns.
    fn lanes(&self, ask: &Exchange<'_>) -> Result<Vec<String>, Error> {
        let mut known = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() as u64 != self.lane_count.load(Ordering::Relaxed) || known.is_empty() {
            let mut members = redis::cmd("SMEMBERS");
            let answer =
                self.link.command(members.arg(format!("{}:lanes", self.prefix)), Duration::ZERO)?;
            let mut parts = Parts::new(answer)?;
            known.clear();
            while !parts.is_empty() {
                known.push(parts.text()?);
            }
            known.sort_unstable();
        }
        let turn = usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).unwrap_or(0);
        let mut lanes = Vec::new();
        for priority in ["0:", "1:", "2:"] {
            let of_priority = known.iter().filter_map(|lane| {
                let tools = lane.strip_prefix(priority)?;
                offers(ask.tools, tools).then(|| lane.clone())
            });
            let first = lanes.len();
            lanes.extend(of_priority);
            let ours = &mut lanes[first..];
            if !ours.is_empty() {
                ours.rotate_left(turn % ours.len());
            }
        }
        Ok(lanes)
    }
}

fn millis(duration: Duration) -> Vec<u8> {
    number(u64::try_from(duration.min(crate::engine::LEASE_MAX).as_millis()).unwrap_or(u64::MAX))
}
