//! Every name that leaves the device, in one file: OpenTelemetry's semantic conventions for
//! generative AI are still in development, and change.
//!
//! Checked against the conventions' own package (`opentelemetry-semantic-conventions`) by
//! `tests/judge`. Names that the conventions lack begin with `automation_assistant.`.

// Of the resource and the scope.
pub(crate) const SERVICE_NAME: &str = "service.name";
pub(crate) const SCOPE: &str = "automation-assistant";

// Of the GenAI conventions.
pub(crate) const OPERATION_NAME: &str = "gen_ai.operation.name";
/// The value of `gen_ai.operation.name`, and the begin of a task's span name.
pub(crate) const CHAT: &str = "chat";
pub(crate) const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The value of `gen_ai.provider.name` where nothing says who runs the model.
pub(crate) const PROVIDER_UNKNOWN: &str = "_OTHER";
pub(crate) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(crate) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(crate) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(crate) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(crate) const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(crate) const CACHED_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
pub(crate) const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
pub(crate) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
pub(crate) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
pub(crate) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
pub(crate) const OPENAI_API_TYPE: &str = "openai.api.type";

// Of the general conventions.
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const HTTP_STATUS: &str = "http.response.status_code";

// Our own. Durations are in seconds, as everywhere in OpenTelemetry.
/// The name of the span of one call to a backend.
pub(crate) const CALL: &str = "backend_call";
pub(crate) const HELPER_ID: &str = "automation_assistant.helper.id";
pub(crate) const HELPER_NAME: &str = "automation_assistant.helper.name";
pub(crate) const BACKEND: &str = "automation_assistant.backend";
pub(crate) const TASK_ID: &str = "automation_assistant.task.id";
pub(crate) const ATTEMPTS: &str = "automation_assistant.attempts";
pub(crate) const ATTEMPT: &str = "automation_assistant.attempt";
pub(crate) const QUEUE_TIME: &str = "automation_assistant.queue_time";
pub(crate) const WAITED: &str = "automation_assistant.waited";
pub(crate) const FIRST_BYTE: &str = "automation_assistant.first_byte";
pub(crate) const COST: &str = "automation_assistant.cost";
pub(crate) const PROMPT_BYTES: &str = "automation_assistant.prompt_bytes";
pub(crate) const REPLY_BYTES: &str = "automation_assistant.reply_bytes";
pub(crate) const CONTEXT: &str = "automation_assistant.context";
pub(crate) const CONTENT_LEFT_OUT: &str = "automation_assistant.content_left_out_bytes";
