//! Records: JSON under the attributes of CloudEvents 1.0. README, "Records", is their
//! documentation; `tests/golden` holds one of each.
//!
//! A reader ignores members it does not know, and takes the default for those that are
//! missing. A change of a job's meaning for an older worker gets a new `type`.

use std::time::Duration;

use automation_assistant::{Priority, Role};
use serde_json::{Map, Value, json};

use crate::base64;
use crate::clock::{from_ms, parse_rfc3339, rfc3339, to_ms};
use crate::id::JobId;
use crate::job::{DEFAULT_MAX_DELIVERIES, Image, Job};

const SPEC_VERSION: &str = "1.0";
/// CloudEvents' `source`; ids are unique under it.
const SOURCE: &str = "urn:automation-assistant:queue";
const JOB_TYPE: &str = "automation-assistant.job.v1";
/// Bytes made ready for a record: those of a small one.
const RECORD_BYTES: usize = 512;
pub(crate) const OUTCOME_TYPE: &str = "automation-assistant.outcome.v1";

/// An object as it is written, member by member, without a tree of values.
pub(crate) struct Members(Vec<u8>);

impl Members {
    pub(crate) fn begin() -> Self {
        Self(Vec::with_capacity(RECORD_BYTES))
    }

    fn name(&mut self, name: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        // Memory takes all that is written, here and below.
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    pub(crate) fn some_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(crate) fn some(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.name(name);
            let _ = serde_json::to_writer(&mut self.0, &value);
        }
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// The attributes of a record, to be followed by others of its own.
pub(crate) fn envelope(kind: &str, id: &str, at_ms: u64, data: Members) -> Members {
    let mut record = Members::begin();
    record.text("specversion", SPEC_VERSION);
    record.text("id", id);
    record.text("source", SOURCE);
    record.text("type", kind);
    record.text("time", &rfc3339(at_ms));
    record.text("datacontenttype", "application/json");
    record.name("data");
    record.0.extend(data.end());
    record
}

/// Opens an envelope of this type: its `data`, and its `time` in milliseconds.
pub(crate) fn open(kind: &str, bytes: &[u8]) -> Result<(Map<String, Value>, Envelope), String> {
    // serde's own message can quote the text: only the place is given.
    let value: Value = serde_json::from_slice(bytes).map_err(|fault| {
        let what = match fault.to_string().starts_with("recursion limit") {
            true => "nests too deep: at most 127 levels are read",
            false => "is not JSON",
        };
        format!("the record {what} (line {}, column {})", fault.line(), fault.column())
    })?;
    let Value::Object(mut record) = value else { return Err("the record is no object".into()) };
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    if text("specversion") != Some(SPEC_VERSION) {
        return Err("the record is no CloudEvent of version 1.0".into());
    }
    if text("type") != Some(kind) {
        return Err(format!("the record is not of type {kind}"));
    }
    let envelope = Envelope {
        at_ms: text("time").and_then(parse_rfc3339).unwrap_or(0),
        subject: text("subject").map(str::to_owned),
    };
    match record.remove("data") {
        Some(Value::Object(data)) => Ok((data, envelope)),
        _ => Err("the record has no data".into()),
    }
}

/// The rest of an envelope.
pub(crate) struct Envelope {
    pub(crate) at_ms: u64,
    pub(crate) subject: Option<String>,
}

const PRIORITIES: [(Priority, &str); 3] =
    [(Priority::High, "high"), (Priority::Normal, "normal"), (Priority::Low, "low")];
const ROLES: [Role; 3] = [Role::System, Role::User, Role::Assistant];

/// A job as a record.
pub(crate) fn write_job(id: JobId, pushed_ms: u64, job: &Job) -> Vec<u8> {
    let list = |values: Vec<Value>| (!values.is_empty()).then_some(Value::Array(values));
    let map = |map: &Map<String, Value>| (!map.is_empty()).then(|| Value::Object(map.clone()));
    let mut data = Members::begin();
    data.text("prompt", &job.prompt);
    data.some("context", map(&job.context));
    data.some_text("system_prompt", job.system_prompt.as_deref());
    let turns = job.turns.iter();
    let turns = turns.map(|(role, text)| json!({"role": role.as_str(), "text": text}));
    data.some("turns", list(turns.collect()));
    data.some("parameters", map(&job.parameters));
    let schema = job.schema.as_ref();
    data.some("schema", schema.map(|(name, schema)| json!({"name": name, "schema": schema})));
    data.some("images", list(job.images.iter().map(write_image).collect()));
    let name = PRIORITIES.iter().find(|(priority, _)| *priority == job.priority);
    data.some_text("priority", name.map(|(_, name)| *name));
    // Rounded up: one that was accepted leaves some time.
    let timeout_ms =
        |time: Duration| u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    data.some("timeout_ms", job.timeout.map(timeout_ms).map(Value::from));
    data.some("deadline", job.deadline.map(|at| rfc3339(to_ms(at)).into()));
    data.some("max_retries", job.max_retries.map(Value::from));
    data.some("tools", list(job.tools.iter().cloned().map(Value::from).collect()));
    data.some("max_deliveries", Some(job.max_deliveries.into()));
    data.some_text("key", job.key.as_deref());
    envelope(JOB_TYPE, &id.to_string(), pushed_ms, data).end()
}

fn write_image(image: &Image) -> Value {
    match image {
        Image::Bytes { media_type, bytes } => {
            json!({"media_type": media_type, "data": base64::encode(bytes)})
        }
        Image::Url(url) => json!({"url": url}),
    }
}

/// Reads what [`write_job`] wrote, or says what is wrong with it (never quoting it).
pub(crate) fn read_job(bytes: &[u8]) -> Result<Job, String> {
    let (mut data, _) = open(JOB_TYPE, bytes)?;
    let mut take = |name: &'static str| data.remove(name).filter(|value| !value.is_null());
    let wrong = |name: &str| format!("the record's {name} is of the wrong type");
    let mut job = Job::new(text(take("prompt"), "prompt")?.ok_or("the record has no prompt")?);
    job.context = object(take("context"), "context")?;
    job.system_prompt = text(take("system_prompt"), "system_prompt")?;
    for turn in array(take("turns"), "turns")? {
        job.turns.push(read_turn(&turn).ok_or_else(|| wrong("turns"))?);
    }
    job.parameters = object(take("parameters"), "parameters")?;
    if let Some(schema) = take("schema") {
        let name = schema["name"].as_str().ok_or_else(|| wrong("schema"))?;
        job.schema = Some((name.to_owned(), schema["schema"].clone()));
    }
    for image in array(take("images"), "images")? {
        job.images.push(read_image(&image).ok_or_else(|| wrong("images"))?);
    }
    if let Some(name) = text(take("priority"), "priority")? {
        let known = PRIORITIES.iter().find(|(_, known)| *known == name);
        job.priority = known.ok_or_else(|| wrong("priority"))?.0;
    }
    job.timeout = number(take("timeout_ms"), "timeout_ms")?.map(Duration::from_millis);
    if let Some(at) = text(take("deadline"), "deadline")? {
        job.deadline = Some(from_ms(parse_rfc3339(&at).ok_or_else(|| wrong("deadline"))?));
    }
    job.max_retries = count(take("max_retries"), "max_retries")?;
    for tool in array(take("tools"), "tools")? {
        job.tools.push(text(Some(tool), "tools")?.unwrap_or_default());
    }
    let deliveries = count(take("max_deliveries"), "max_deliveries")?;
    job.max_deliveries = deliveries.unwrap_or(DEFAULT_MAX_DELIVERIES).max(1);
    job.key = text(take("key"), "key")?;
    job.validate().map_err(|error| error.to_string())?;
    Ok(job)
}

fn read_turn(turn: &Value) -> Option<(Role, String)> {
    let role = turn.get("role")?.as_str()?;
    let role = ROLES.into_iter().find(|known| known.as_str() == role)?;
    Some((role, turn.get("text")?.as_str()?.to_owned()))
}

fn read_image(image: &Value) -> Option<Image> {
    if let Some(url) = image.get("url") {
        return Some(Image::Url(url.as_str()?.to_owned()));
    }
    let media_type = image.get("media_type")?.as_str()?.to_owned();
    let bytes = base64::decode(image.get("data")?.as_str()?)?;
    Some(Image::Bytes { media_type, bytes })
}

pub(crate) fn text(value: Option<Value>, name: &str) -> Result<Option<String>, String> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("the record's {name} is no text")),
    }
}

pub(crate) fn number(value: Option<Value>, name: &str) -> Result<Option<u64>, String> {
    match value {
        None => Ok(None),
        Some(value) => {
            value.as_u64().map(Some).ok_or_else(|| format!("the record's {name} is no count"))
        }
    }
}

pub(crate) fn count(value: Option<Value>, name: &str) -> Result<Option<u32>, String> {
    Ok(number(value, name)?.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
}

fn object(value: Option<Value>, name: &str) -> Result<Map<String, Value>, String> {
    match value {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(format!("the record's {name} is no object")),
    }
}

fn array(value: Option<Value>, name: &str) -> Result<Vec<Value>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => Ok(values),
        Some(_) => Err(format!("the record's {name} is no list")),
    }
}
