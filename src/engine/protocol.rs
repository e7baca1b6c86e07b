//! The seam: what a provider's file implements, and the neutral view of a request that it gets.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;
use crate::engine::json::Json;
use crate::engine::limits::LimitHeaders;
use crate::engine::message::{Message, Round, messages};
use crate::engine::sse::SseEvent;
use crate::task::{OpenAiApi, ReplySchema, Role, TaskRequest};
use crate::task_error::ErrorKind;
use crate::tool::{self, Tool};

/// A provider's protocol: how requests are written, and how replies, streams, errors and
/// headers are read. One value serves all threads of a helper.
pub(crate) trait Protocol: Send + Sync {
    /// The path of the call below the base URL, such as `/chat/completions`. It may have a query; a
    /// model's name in it must be percent-encoded.
    fn path(&self, ask: &Ask<'_>) -> Cow<'static, str>;

    /// Which of OpenAI's APIs it is, if it is one.
    fn api(&self) -> Option<OpenAiApi> {
        None
    }

    /// Writes a request's body.
    fn write(&self, ask: &Ask<'_>) -> Json;

    /// Reads a complete reply, which may be anything, an error too, into the draft: its text, model,
    /// usage and reason to finish, and the parts that go back where it wants tools called.
    ///
    /// # Errors
    ///
    /// The error in the reply, or its deviation from the protocol.
    fn read(&self, body: &[u8], draft: &mut Draft) -> Result<(), BadReply>;

    /// A reader for the events of one stream.
    fn stream(&self) -> Box<dyn ReadStream + '_>;

    /// Reads an error from the body of a rejection, if there is one in it. Defaults to every
    /// shape in use that is not one provider's alone.
    fn read_error(&self, body: &[u8]) -> Option<ErrorBody> {
        ErrorBody::parse(body)
    }

    /// The kind of failure that an error's code, type, or (where nothing else shows it) fixed
    /// phrases name; nothing where the HTTP status says all.
    fn kind_of_error(&self, status: u16, body: &ErrorBody) -> Option<ErrorKind>;

    /// Whether this is a code of the protocol, and so no word of anybody's prompt.
    fn is_known_code(&self, code: &str) -> bool;

    /// The headers of each rate limit: what remains of it, and when it is reset. Where nothing remains,
    /// no call goes in until then.
    fn limit_headers(&self) -> &'static [LimitHeaders] {
        &[]
    }

    /// The header that names a request to the provider's support.
    fn request_id_header(&self) -> &'static str {
        "x-request-id"
    }

    /// The header by which a gateway names who runs the model, if it has one.
    fn provider_header(&self) -> Option<&'static str> {
        None
    }

    /// Whether a rejection that may be retried as a rule may be so here; `names_wait` says
    /// whether the server named a wait. (What the server says in so many words goes first.)
    fn may_retry(&self, status: u16, kind: ErrorKind, names_wait: bool) -> bool {
        let _ = (status, kind, names_wait);
        true
    }

    /// Whether the protocol itself will write this request otherwise after such a refusal (it
    /// notes that for good): then it is sent once more, at once, and that is no retry.
    fn will_change(&self, status: u16, body: &ErrorBody, ask: &Ask<'_>) -> bool {
        let _ = (status, body, ask);
        false
    }
}

/// The protocols that a helper may speak: one as a rule, which is its own list.
pub(crate) trait Protocols: Send + Sync {
    /// The one for a task, by what is asked.
    fn choose(&self, ask: &Ask<'_>) -> &dyn Protocol;

    /// The one to ask instead, where such a rejection of a task's first request by the chosen
    /// one names it.
    fn instead(&self, ask: &Ask<'_>, status: u16, body: &ErrorBody) -> Option<&dyn Protocol> {
        let _ = (ask, status, body);
        None
    }

    /// Notes that this protocol has answered in place of the one that would be chosen.
    fn remember(&self, ask: &Ask<'_>, answered: &dyn Protocol) {
        let _ = (ask, answered);
    }
}

impl<P: Protocol> Protocols for P {
    fn choose(&self, _: &Ask<'_>) -> &dyn Protocol {
        self
    }
}

/// Reads the events of one stream into a draft.
pub(crate) trait ReadStream {
    /// Takes one event in.
    ///
    /// # Errors
    ///
    /// The error in the event, or its deviation from the protocol.
    fn event(&mut self, event: &SseEvent<'_>, draft: &mut Draft) -> Result<(), BadReply>;

    /// No more events are read. A draft that is not done and has no reason to finish has broken
    /// off.
    ///
    /// # Errors
    ///
    /// Where what came is no complete reply.
    fn end(&mut self, draft: &mut Draft) -> Result<(), BadReply>;
}

/// A request for a protocol to serialize.
pub(crate) struct Ask<'a> {
    pub(crate) model: &'a str,
    pub(crate) request: &'a TaskRequest,
    pub(crate) system_prompt: Option<&'a str>,
    /// The helper's own parameters; the request's win.
    pub(crate) params: &'a Map<String, Value>,
    /// The greatest number of tokens that may be written.
    pub(crate) max_output_tokens: Option<u32>,
    /// How hard the model shall think.
    pub(crate) effort: Option<&'a str>,
    /// The request's tools.
    pub(crate) tools: &'a [Offer<'a>],
    /// The replies and tool results since the prompt.
    pub(crate) rounds: &'a [Round],
    /// Whether the answer shall come as a stream.
    pub(crate) stream: bool,
}

impl<'a> Ask<'a> {
    /// Instructions and context in one text: many chat templates of local models refuse a
    /// second system message.
    pub(crate) fn system(&self) -> Option<Cow<'a, str>> {
        if self.request.context.is_empty() {
            return self.system_prompt.map(Cow::Borrowed);
        }
        // Named as such, for the model.
        // JSON values can always be written.
        let context = serde_json::to_string(&self.request.context).unwrap_or_default();
        let context = format!("{{\"context\":{context}}}");
        Some(match self.system_prompt {
            Some(system) => format!("{system}\n\n{context}").into(),
            None => context.into(),
        })
    }

    /// The same with the turns of the role system, for protocols whose messages have no such role.
    pub(crate) fn instructions(&self) -> Option<String> {
        let mut all = self.system().map(Cow::into_owned).unwrap_or_default();
        for message in self.messages().filter(|message| message.role == Role::System) {
            if !all.is_empty() {
                all.push_str("\n\n");
            }
            all.push_str(message.text());
        }
        (!all.trim().is_empty()).then_some(all)
    }

    /// Earlier turns and the prompt.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Message<'a>> + use<'a> {
        messages(self.request)
    }

    pub(crate) fn schema(&self) -> Option<&'a ReplySchema> {
        self.request.reply_schema.as_deref()
    }

    /// A parameter that the request or the helper sets.
    pub(crate) fn param(&self, key: &str) -> Option<&'a Value> {
        self.request.custom_params.get(key).or_else(|| self.params.get(key))
    }

    /// All parameters that are set, each once.
    pub(crate) fn all_params(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        let own = &self.request.custom_params;
        let helpers = self.params.iter().filter(|(key, _)| !own.contains_key(*key));
        helpers.chain(own)
    }

    /// Writes the list of tools: those of the parameter `tools` (such as a provider's own search),
    /// and after them the request's.
    pub(crate) fn write_tools(&self, json: &mut Json, offer: fn(&Offer<'_>, &mut Json)) {
        let given = self.param("tools").and_then(Value::as_array);
        json.array(|json| {
            given.into_iter().flatten().for_each(|tool| json.value(tool));
            self.tools.iter().for_each(|tool| offer(tool, json));
        });
    }

    /// Writes the parameters as members of an object, but for those of names that the protocol
    /// has written: what the request says through its own methods wins.
    pub(crate) fn write_params(&self, json: &mut Json, is_written: &dyn Fn(&str) -> bool) {
        for (key, value) in self.all_params().filter(|(key, _)| !is_written(key)) {
            json.key(key).value(value);
        }
    }
}

/// A tool on offer, as it was when its task began: what a model has seen of it must not change
/// within a task.
pub(crate) struct Offer<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    /// The schema of its arguments, always an object's.
    pub(crate) schema: Value,
}

impl<'a> Offer<'a> {
    /// # Errors
    ///
    /// Why the tool's schema cannot be sent.
    pub(crate) fn of(tool: &'a dyn Tool) -> Result<Self, String> {
        let schema = object_schema(tool::schema(tool)?);
        Ok(Self { name: tool.name(), description: tool.description(), schema })
    }
}

/// The schema of a tool's arguments. One without a type (a tool without parameters, say) is made
/// an object's: servers refuse anything else.
fn object_schema(mut schema: Value) -> Value {
    if let Value::Object(map) = &mut schema {
        if map.is_empty() {
            map.insert("properties".to_owned(), Map::new().into());
        }
        if !map.contains_key("type") {
            map.insert("type".to_owned(), "object".into());
        }
    }
    schema
}
