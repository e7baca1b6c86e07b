//! The JSON form of a configuration and of a request: every field.
//!
//! Programs read them from a file, a queue or another language (the C face takes them as they
//! stand here). Both are JSON objects, and both readers are strict: `null` stands for a field that
//! is left out; a field that is not listed, one that is there twice, and a value of another type
//! are errors of the readers, which name the field and never quote a value. Bounds are validated where the
//! configuration is used (`spawn`, as `InvalidConfig`) or the request submitted (as
//! `InvalidRequest`).
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, HelperConfig, TaskRequest};
//!
//! let config: HelperConfig = serde_json::from_str(
//!     r#"{"backend_type": "local", "name": "notes", "timeout_seconds": 5, "max_results": 16}"#,
//! )?;
//! let request: TaskRequest = serde_json::from_str(
//!     r#"{"prompt": "Why is it hot?", "context": {"celsius": 41}, "priority": "high"}"#,
//! )?;
//! let manager = AutomationAssistantManager::new(1);
//! let task = manager.spawn(config)?.ask(request)?;
//! assert!(task.is_success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # `HelperConfig`
//!
//! Units stand in the names. "HTTP" are ChatGPT, Comet, Anthropic and a Local model server; what a
//! provider does not read it ignores, but for settings that one provider alone has
//! (`openai_api`, `prompt_cache_key`, `anthropic_version`), which others reject. Each field is the
//! setter of its name ([`HelperConfig`](crate::HelperConfig)); `…_timeout_seconds` and
//! `timeout_seconds` are those without `_seconds`, and `headers` is `header`.
//!
//! | field | type | default | bounds | read by |
//! |---|---|---|---|---|
//! | `backend_type` | text | required | `chatgpt`, `comet`, `local`, `anthropic`, `custom` | all |
//! | `name` | text | `backend_type`'s value | 1 to 128 bytes | all |
//! | `max_concurrent_tasks` | integer | `1` | 1 to 256 | all |
//! | `timeout_seconds` | number | 30; Comet, Anthropic 120; Local server 300 | above 0 | all |
//! | `api_key` | text | the environment | not blank | HTTP |
//! | `api_endpoint` | text | the environment, then the provider's | a URL | HTTP; turns Local into a server |
//! | `model` | text | `gpt-4o-mini` (ChatGPT), the server's first (Local) | not blank; Comet and Anthropic need it | HTTP |
//! | `custom_params` | object | `{}` | 128 levels deep; no `messages`, `input`, `stream`; `n` is 1 | HTTP: fields of the body; embedded: `latency_ms` |
//! | `system_prompt` | text | none | counts for `max_prompt_bytes` | HTTP, custom |
//! | `queue_capacity` | integer | `256` | at least 1 | all |
//! | `max_prompt_bytes` | integer | `1048576` | at least 1 | all |
//! | `max_context_bytes` | integer | `262144` | 0 or more | all |
//! | `max_request_bytes` | integer | `1048576` | 0 or more | all |
//! | `max_image_bytes` | integer | `5242880` | 0 (no pictures) or more | HTTP, custom |
//! | `max_queued_image_bytes` | integer | `83886080` | 0 or more | HTTP, custom |
//! | `max_reply_bytes` | integer | `4194304` | at least 1 | all |
//! | `max_results` | integer | `1024` | at least 1 | all |
//! | `max_result_bytes` | integer | `16777216` | at least 1 | all |
//! | `stack_bytes` | integer | `1048576` | at least 327680 | all |
//! | `trace` | text | `metadata` (Comet), `off` | `off`, `metadata`, `content` | all |
//! | `connect_timeout_seconds` | number | `10` | above 0 | HTTP |
//! | `first_byte_timeout_seconds` | number | none | above 0 | HTTP |
//! | `idle_timeout_seconds` | number | 30; Anthropic, Local server 60 | above 0 | HTTP |
//! | `max_retries` | integer | `2` | below 2^32 | HTTP |
//! | `max_tool_rounds` | integer | `8` | below 2^32 | HTTP |
//! | `max_output_tokens` | integer | none; Anthropic 4096 | 1 to 2^32 - 1 | HTTP |
//! | `reasoning_effort` | text | none | not blank | HTTP |
//! | `requests_per_minute` | integer | none | 1 to 2^32 - 1 | HTTP |
//! | `tokens_per_minute` | integer | none | at least 1 | HTTP |
//! | `token_budget` | integer | none | at least 1 | HTTP |
//! | `allow_insecure_http` | boolean | `false` | | HTTP |
//! | `root_certificates` | text | `SSL_CERT_FILE`, then the bundled roots | path of a PEM file | HTTP, https alone |
//! | `organization` | text | `OPENAI_ORG_ID` | not blank | ChatGPT |
//! | `project` | text | `OPENAI_PROJECT_ID`, `OPIK_PROJECT_NAME` | not blank | ChatGPT; Comet's traces |
//! | `workspace` | text | `OPIK_WORKSPACE`, then `default` | not blank | Comet |
//! | `headers` | object of texts | `{}` | names that HTTP does not set itself | HTTP |
//! | `openai_api` | text | `auto` | `auto`, `chat_completions`, `responses` | ChatGPT, Local server |
//! | `prompt_cache_key` | text | none | not blank | ChatGPT, Local server |
//! | `anthropic_version` | text | `2023-06-01` | not blank | Anthropic |
//!
//! Without a JSON form, set in the program alone: `count_suspended_time`, `max_retry_wait`,
//! `max_tool_output_bytes`, `when_results_full`, and what is shared between helpers: `connections`,
//! `prices`, `rate_limiter`.
//!
//! # `TaskRequest`
//!
//! Each member is the setter of its name ([`TaskRequest`](crate::TaskRequest)), with durations in
//! milliseconds.
//!
//! | member | type | default | bounds | read by |
//! |---|---|---|---|---|
//! | `prompt` | text | required | not blank; `max_prompt_bytes` with system prompt and turns | all |
//! | `context` | object | `{}` | `max_context_bytes` as JSON; 128 levels deep | HTTP, custom; embedded says whether there is one |
//! | `system_prompt` | text | the helper's | counts for `max_prompt_bytes` | HTTP, custom |
//! | `turns` | list of `{"role", "text"}` | `[]` | role `system`, `user`, `assistant` | HTTP, custom |
//! | `custom_params` | object | `{}` | 128 levels deep; no `messages`, `input`, `stream`; `n` is 1 | HTTP: fields of the body; embedded: `latency_ms` |
//! | `reply_schema` | `{"name", "schema"}` | none | name of 1 to 64 letters, digits, `_`, `-`; 128 levels deep | HTTP, custom |
//! | `max_retries` | integer | the helper's | below 2^32 | HTTP |
//! | `max_output_tokens` | integer | the helper's | 1 to 2^32 - 1 | HTTP |
//! | `reasoning_effort` | text | the helper's | not blank | HTTP |
//! | `priority` | text | `normal` | `high`, `normal`, `low` | all |
//! | `timeout_ms` | integer | the helper's | above 0 | all |
//! | `deadline_ms` | integer | none | 0 or more | all |
//! | `conversation` | text | none | 1 to 256 bytes | traces |
//! | `trace_tags` | list of texts | `[]` | at most 20 of 1 to 100 bytes | traces |
//! | `trace_id` | text | a new one | a UUID of version 7 in lower case, each used once | traces |
//!
//! JSON text is read 127 levels deep, the whole document included: a value within it may have
//! fewer than the 128 of one that a program builds.
//!
//! Without a JSON form, since they are code or bytes: `tool` and `shared_tool`, `image_bytes`,
//! `image_file`, `image_url`, `on_text`, `on_text_control`, `on_reasoning`, `on_done`.
