//! The engine for a fleet: Redis Streams, each step a script in the server.

mod config;
mod exchange;
mod link;
mod reply;
mod scripts;
#[cfg(test)]
mod tests;
#[cfg(feature = "rediss")]
mod tls;
mod transport;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use config::RedisConfig;
use redis::Value;

use crate::clock::{from_ms, now_ms};
use crate::engine::{Cancelled, Engine, Exchange, Exchanged, Notify, Prepared, Purge, Pushed};
use crate::error::Error;
use crate::id::JobId;
use crate::limits::Limits;
use crate::state::{JobState, JobStatus, QueueStats, WorkerStats};
use link::{Args, Link};
use reply::Parts;
use scripts::Script;

/// The format that this version writes; also in `lua/names.lua`.
const FORMAT: u64 = 1;
/// Most lanes of a queue: priorities times sets of tools.
const LANES_MAX: usize = 256;
/// Longest text in a job's state that is read, in bytes: eight reasons and some.
const STATE_TEXT_MAX: usize = 8_192;
/// Pauses of a wait for an outcome, which is asked for again and again: from, to.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(200);
/// Seconds for which a worker's own token is kept, should the worker not wait for it any more.
const TOKEN_SECONDS: u64 = 60;

/// A queue on a server.
pub(crate) struct Redis {
    link: Link,
    /// `aaq:{NAME}`.
    prefix: String,
    limits: Limits,
    /// The lanes there are, as far as is known; see [`Redis::lanes`].
    lanes: Mutex<Vec<String>>,
    /// How many lanes the server has, by its last answer.
    lane_count: AtomicU64,
    /// Turns the order of lanes of one priority.
    turn: AtomicU64,
    looking: Mutex<()>,
    /// Notified when this handle cancels a job; waited on between two looks at an outcome.
    cancelled: Condvar,
}

impl Redis {
    pub(crate) fn connect(config: RedisConfig) -> Result<Self, Error> {
        let (server, name) = config.server()?;
        let redis = Self {
            link: Link::new(server, name, config.answer_within()),
            prefix: format!("aaq:{{{}}}", config.name()),
            limits: config.bounds().clone(),
            lanes: Mutex::new(Vec::new()),
            lane_count: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            looking: Mutex::new(()),
            cancelled: Condvar::new(),
        };
        redis.check_policy()?;
        redis.stats()?;
        Ok(redis)
    }

    /// Refuses a server that throws keys away when its memory is full.
    fn check_policy(&self) -> Result<(), Error> {
        let mut info = redis::cmd("INFO");
        let answer = self.link.command(info.arg("memory"), Duration::ZERO);
        let text = match answer {
            Ok(value) => reply::text(value)?,
            // A user without this permission takes the server as it is.
            Err(Error::Refused { what, .. }) if what.starts_with("a permission") => return Ok(()),
            Err(error) => return Err(error),
        };
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
        };
        let (bound, policy) = (field("maxmemory:"), field("maxmemory_policy:"));
        if bound != "0" && policy.starts_with("allkeys") {
            return Err(Error::InvalidConfig(format!(
                "{} evicts jobs when its memory is full (maxmemory-policy {policy}): set \
                 noeviction",
                self.link.server()
            )));
        }
        Ok(())
    }

    fn run(&self, script: Script, args: &Args) -> Result<Value, Error> {
        self.link.run(script, &self.prefix, args, &mut || ())
    }

    /// Runs a script whose answer begins with a word.
    fn ask(&self, script: Script, args: &Args) -> Result<(String, Parts), Error> {
        self.open(self.run(script, args)?)
    }

    fn open(&self, value: Value) -> Result<(String, Parts), Error> {
        let mut parts = Parts::new(value)?;
        let word = parts.text()?;
        if word == "newer" {
            return Err(Error::NewerFormat {
                place: format!("queue {} at {}", self.prefix, self.link.server()),
                found: parts.number()?,
                known: FORMAT,
            });
        }
        Ok((word, parts))
    }

    /// The list of tokens, each of which wakes one worker that has nothing to do.
    fn wake_key(&self) -> String {
        format!("{}:wake", self.prefix)
    }

    /// The list of tokens that wake this worker alone.
    fn own_wake_key(&self, worker: &str) -> String {
        format!("{}:wake:{worker}", self.prefix)
    }

    fn keep_args(&self) -> [Vec<u8>; 3] {
        [self.limits.max_results, self.limits.ttl_ms(), self.limits.max_bytes].map(number)
    }

    fn is_old(&self, status: &JobStatus) -> bool {
        let finished = status.finished_at.map_or(u64::MAX, crate::clock::to_ms);
        let ends = finished.saturating_add(self.limits.ttl_ms());
        status.state.is_final() && !status.dead && ends < now_ms()
    }
}

fn number(number: u64) -> Vec<u8> {
    // Lua counts in doubles: what is beyond them is as good as endless.
    number.min(1 << 53).to_string().into_bytes()
}

fn text(text: impl fmt::Display) -> Vec<u8> {
    text.to_string().into_bytes()
}

impl Engine for Redis {
    fn push(&self, jobs: &[Prepared]) -> Result<Vec<Pushed>, Error> {
        let limits = &self.limits;
        let mut args = vec![number(limits.max_jobs), number(limits.max_bytes), text(LANES_MAX)];
        for job in jobs {
            args.push(text(job.id));
            args.push(job.key.clone().unwrap_or_default().into_bytes());
            args.push(format!("{}:{}", job.lane, job.tools).into_bytes());
            args.push(job.record.clone());
            args.push(text(job.max_deliveries));
            args.push(number(job.pushed_ms));
        }
        let (first, mut parts) = self.ask(Script::Push, &args)?;
        let full = |why: String| Err(Error::Full(why));
        match first.as_str() {
            "jobs" => return full(format!("it has max_jobs, {} jobs", limits.max_jobs)),
            "bytes" => {
                return full(format!("its records have max_bytes, {} bytes", limits.max_bytes));
            }
            "lanes" => {
                return full(format!("it has {LANES_MAX} sets of tools and priorities"));
            }
            _ => {}
        }
        let mut pushed = Vec::with_capacity(jobs.len());
        let mut id = first.parse().map_err(|_| reply::bad("an id"))?;
        loop {
            pushed.push(Pushed { id, is_new: parts.number()? == 1 });
            if parts.is_empty() {
                return Ok(pushed);
            }
            id = parts.parse()?;
        }
    }

    fn exchange(&self, ask: &Exchange<'_>) -> Result<Exchanged, Error> {
        self.run_exchange(ask, &mut || ())
    }

    fn exchange_while(
        &self,
        ask: &Exchange<'_>,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Exchanged, Error> {
        self.run_exchange(ask, meanwhile)
    }

    fn status(&self, id: JobId) -> Result<Option<JobStatus>, Error> {
        let (word, mut parts) = self.ask(Script::Status, &vec![text(id), text(STATE_TEXT_MAX)])?;
        match word.as_str() {
            "none" => return Ok(None),
            "ok" => {}
            _ => return Err(Error::BadRecord(format!("the state of job {id} is too long"))),
        }
        let state: JobState = parts.parse()?;
        let (attempt, deliveries) = (parts.small()?, parts.small()?);
        let (key, worker) = (parts.some_text()?, parts.some_text()?);
        let (pushed, finished) = (parts.number()?, parts.number()?);
        let (dead, cancel_asked) = (parts.number()? == 1, parts.number()? == 1);
        let reasons = parts.text()?.lines().map(str::to_owned).collect();
        let status = JobStatus {
            id,
            key,
            state,
            dead,
            cancel_asked: cancel_asked && state == JobState::Working,
            deliveries,
            attempt,
            worker,
            pushed_at: from_ms(pushed),
            finished_at: (finished > 0).then(|| from_ms(finished)),
            reasons,
        };
        Ok(Some(status).filter(|status| !self.is_old(status)))
    }

    fn outcome(&self, id: JobId) -> Result<Option<Vec<u8>>, Error> {
        let max = self.limits.max_result_bytes;
        let (word, mut parts) = self.ask(Script::Outcome, &vec![text(id), text(max)])?;
        match word.as_str() {
            "none" => Ok(None),
            "ok" => parts.bytes().map(Some),
            _ => Err(Error::BadRecord(format!(
                "the outcome of job {id} is longer than max_result_bytes"
            ))),
        }
    }

    fn cancel(&self, id: JobId, record: &[u8]) -> Result<Cancelled, Error> {
        let mut args = vec![text(id), record.to_vec()];
        args.extend(self.keep_args());
        let answer = reply::text(self.run(Script::Cancel, &args)?)?;
        self.cancelled.notify_all();
        match answer.as_str() {
            "now" => Ok(Cancelled::Now),
            "asked" => Ok(Cancelled::Asked),
            "late" => Ok(Cancelled::TooLate),
            _ => Ok(Cancelled::Unknown),
        }
    }

    fn dead(&self, limit: usize) -> Result<Vec<JobStatus>, Error> {
        let limit = number(u64::try_from(limit).unwrap_or(u64::MAX));
        let mut ids = Parts::new(self.run(Script::Dead, &vec![limit])?)?;
        let mut list = Vec::new();
        while !ids.is_empty() {
            list.extend(self.status(ids.parse()?)?);
        }
        Ok(list)
    }

    fn retry_dead(&self, id: JobId) -> Result<bool, Error> {
        Ok(self.run(Script::RetryDead, &vec![text(id)])? == Value::Int(1))
    }

    fn purge(&self, what: Purge) -> Result<u64, Error> {
        let what = match what {
            Purge::Results => "results",
            Purge::Dead => "dead",
            Purge::Waiting => "waiting",
        };
        match self.run(Script::Purge, &vec![text(what)])? {
            Value::Int(dropped) => Ok(u64::try_from(dropped).unwrap_or(0)),
            _ => Err(reply::bad("a number")),
        }
    }

    fn stats(&self) -> Result<QueueStats, Error> {
        let (_, mut parts) = self.ask(Script::Stats, &Vec::new())?;
        let mut stats = QueueStats {
            waiting: parts.number()?,
            leased: parts.number()?,
            dead: parts.number()?,
            results: parts.number()?,
            ..QueueStats::default()
        };
        let mut counters = parts.list()?;
        stats.bytes = counters.number()?;
        stats.pushed = counters.number()?;
        stats.finished = counters.number()?;
        stats.redelivered = counters.number()?;
        stats.fenced = counters.number()?;
        stats.results_dropped = counters.number()?;
        let mut workers = parts.list()?;
        while !workers.is_empty() {
            let mut worker = workers.list()?;
            stats.workers.push(WorkerStats {
                name: worker.text()?,
                leased: worker.number()?,
                alive_for: Duration::from_millis(worker.number()?),
            });
        }
        stats.workers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(stats)
    }

    fn adopt_unreported(
        &self,
        worker: &str,
        lease: Duration,
        is_start: bool,
    ) -> Result<Vec<JobId>, Error> {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let args = vec![text(worker), text(u8::from(is_start)), number(lease_ms)];
        let mut ids = Parts::new(self.run(Script::Adopt, &args)?)?;
        let mut found = Vec::new();
        while !ids.is_empty() {
            found.push(ids.parse()?);
        }
        Ok(found)
    }

    fn bookmark(&self, name: &str) -> Result<u64, Error> {
        let mut get = redis::cmd("HGET");
        get.arg(format!("{}:bookmarks", self.prefix)).arg(name);
        match self.link.command(&get, Duration::ZERO)? {
            Value::Nil => Ok(0),
            value => reply::text(value)?.parse().map_err(|_| reply::bad("a number")),
        }
    }

    fn set_bookmark(&self, name: &str, value: u64) -> Result<(), Error> {
        let mut set = redis::cmd("HSET");
        set.arg(format!("{}:bookmarks", self.prefix)).arg(name).arg(value);
        self.link.command(&set, Duration::ZERO).map(|_| ())
    }

    fn wait_for_work(&self, worker: &str, timeout: Duration) -> Result<(), Error> {
        let mut wait = redis::cmd("BLPOP");
        wait.arg(self.wake_key()).arg(self.own_wake_key(worker));
        // Zero would wait for ever.
        wait.arg(timeout.as_secs_f64().max(0.001));
        self.link.command(&wait, timeout).map(|_| ())
    }

    fn wake(&self, worker: &str) -> Result<(), Error> {
        let key = self.own_wake_key(worker);
        self.link.command(redis::cmd("RPUSH").arg(&key).arg(1), Duration::ZERO)?;
        let mut expire = redis::cmd("EXPIRE");
        self.link.command(expire.arg(&key).arg(TOKEN_SECONDS), Duration::ZERO).map(|_| ())
    }

    fn wait_for_outcome(&self, id: JobId, timeout: Duration) {
        let begun = Instant::now();
        let mut pause = LOOK_FIRST;
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return;
            }
            let looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.cancelled.wait_timeout(looking, pause.min(left)));
            pause = (pause * 2).min(LOOK_LAST);
            match self.status(id) {
                Ok(Some(status)) if !status.state.is_final() => {}
                _ => return,
            }
        }
    }

    fn subscribe(&self, _notify: Notify) -> bool {
        false
    }

    fn leave(&self, worker: &str) -> Result<(), Error> {
        self.run(Script::Leave, &vec![text(worker)]).map(|_| ())
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &self.link.server())
            .field("queue", &self.prefix)
            .finish_non_exhaustive()
    }
}
