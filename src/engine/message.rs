//! The parts of a conversation, for every protocol.

use crate::engine::json::Json;
use crate::task::{Image, Role, TaskRequest};

/// How a protocol writes the parts of a message.
pub(crate) struct PartKind {
    /// The type of a text.
    pub(crate) text: &'static str,
    /// Writes a picture as members of an object.
    pub(crate) write_image: fn(&Image, &mut Json),
}

/// An earlier turn, or the prompt itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) role: Role,
    text: &'a str,
    images: &'a [Image],
}

impl<'a> Message<'a> {
    /// Writes role and content as members of an object. The content is a text; with pictures it
    /// is parts: the pictures, then the text, as models read them best. Blank text beside
    /// pictures is left out, since servers refuse it.
    pub(crate) fn write(&self, kind: &PartKind, json: &mut Json) {
        json.text("role", self.role.as_str());
        json.key("content");
        if self.images.is_empty() {
            return json.value(self.text);
        }
        json.array(|json| {
            for image in self.images {
                json.object(|json| (kind.write_image)(image, json));
            }
            if !self.text.trim().is_empty() {
                json.object(|json| {
                    json.text("type", kind.text);
                    json.text("text", self.text);
                });
            }
        });
    }

    /// All its text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// All its pictures.
    pub(crate) fn images(&self) -> &'a [Image] {
        self.images
    }
}

/// The request's earlier turns and its prompt, in order.
pub(crate) fn messages(request: &TaskRequest) -> impl Iterator<Item = Message<'_>> {
    let turns = request.turns.iter().map(|turn| Message {
        role: turn.role,
        text: &turn.text,
        images: turn.images(),
    });
    let prompt = Message { role: Role::User, text: &request.prompt, images: request.images() };
    turns.chain([prompt])
}

/// JSON of a provider's own that goes back to it verbatim in the next round (signatures,
/// reasoning). Nobody else reads it.
pub(crate) type Opaque = Box<str>;

/// A part of what the model said.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReplyPart {
    pub(crate) content: Content,
    /// Sent back in this part's place ([`verbatim`](Self::verbatim)) or beside it, as the protocol
    /// requires.
    pub(crate) opaque: Option<Opaque>,
}

impl ReplyPart {
    /// The opaque form of a protocol whose opaque form is the part itself; `None` where the part
    /// must be written anew.
    pub(crate) fn verbatim(&self) -> Option<&str> {
        let is_changed = matches!(&self.content, Content::Call(call) if call.is_changed);
        self.opaque.as_deref().filter(|_| !is_changed)
    }
}

/// The meaning of a part of a reply.
#[derive(Debug, Clone, Default)]
pub(crate) enum Content {
    /// Nothing: it is the provider's own.
    #[default]
    None,
    Text(String),
    Call(ToolCall),
}

/// A tool call as the model wants it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ToolCall {
    /// Pairs the call with its result. The engine makes one up where it is empty.
    pub(crate) id: String,
    pub(crate) name: String,
    /// A JSON object, if the model did well.
    pub(crate) arguments: String,
    /// Whether the server's own form of the call has another id or other arguments: the engine
    /// corrected them, or the protocol's reader did.
    pub(crate) is_changed: bool,
}

/// The result of a tool call.
#[derive(Debug, Clone)]
pub(crate) struct ToolResult {
    /// The id of its call.
    pub(crate) id: String,
    /// The tool's output, or `error: ` and what went wrong.
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

/// A reply that wanted tools called, and what they returned.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) reply: Vec<ReplyPart>,
    /// One for each of the reply's calls, in their order.
    pub(crate) results: Vec<ToolResult>,
}

/// The tool calls among a reply's parts, in order.
pub(crate) fn calls(parts: &[ReplyPart]) -> impl Iterator<Item = &ToolCall> {
    parts.iter().filter_map(|part| match &part.content {
        Content::Call(call) => Some(call),
        Content::None | Content::Text(_) => None,
    })
}

/// The same, to be changed.
pub(crate) fn calls_mut(parts: &mut [ReplyPart]) -> impl Iterator<Item = &mut ToolCall> {
    parts.iter_mut().filter_map(|part| match &mut part.content {
        Content::Call(call) => Some(call),
        Content::None | Content::Text(_) => None,
    })
}

/// All text among a reply's parts.
pub(crate) fn text(parts: &[ReplyPart]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| match &part.content {
        Content::Text(text) => Some(text.as_str()),
        Content::None | Content::Call(_) => None,
    })
}
