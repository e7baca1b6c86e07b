//! The features of each API, the models that need one of them, and the bounds of a helper.
//!
//! | | Chat Completions | Responses | Messages | embedded engine |
//! |---|---|---|---|---|
//! | spoken by | ChatGPT, Comet, Local server | ChatGPT, Local server | Anthropic | Local |
//! | text, whole and streamed | yes | yes | yes | its echo |
//! | tools, in several rounds | yes, but see below | yes | yes | no |
//! | reply schema, sent as | `response_format` | `text.format` | `output_config.format` | no |
//! | pictures | yes | yes | yes | no: `Unsupported` |
//! | `reasoning_effort`, sent as | `reasoning_effort` | `reasoning.effort` | `output_config.effort` | no |
//! | `on_reasoning` gets | `reasoning_content`, `reasoning` | summaries, reasoning text | thinking | nothing |
//! | thoughts go back in tool rounds | yes, as they came | yes, encrypted | yes, signed | no |
//! | `cached_tokens` of the usage | yes | yes | yes | no |
//! | the provider's cache is steered by | `prompt_cache_key` (not Comet) | `prompt_cache_key` | the parameter `cache_control` | nothing |
//!
//! Models and APIs:
//!
//! - OpenAI's models that refuse tools on Chat Completions, or that exist on Responses alone, need
//!   Responses. `openai_api` is `Auto` by default: Responses at api.openai.com, Chat Completions
//!   elsewhere, one switch where the server names the other.
//! - With a parameter that Chat Completions alone has (`seed`, `stop`, …), `Auto` stays there;
//!   a model that refuses it answers with an error.
//! - Reasoning models refuse `temperature` and `top_p`; none is sent unless the program sets it.
//! - Models behind other servers: Chat Completions. llama.cpp enforces a reply schema there, and
//!   ignores it on the other two.
//!
//! `cargo run --release --example tools -- --api chat|responses|anthropic` shows each, offline too.
//!
//! # Bounds
//!
//! | bound | default | setter |
//! |---|---|---|
//! | helpers of a manager | 5 | `AutomationAssistantManager::new(n)` |
//! | threads of a helper | 1 | `max_concurrent_tasks` |
//! | tasks waiting | 256 | `queue_capacity` |
//! | prompt / context / reply | 1 MiB / 256 KiB / 4 MiB | `max_prompt_bytes`, `max_context_bytes`, `max_reply_bytes` |
//! | context, parameters and reply schema of a request | 1 MiB | `max_request_bytes` |
//! | turns, tools, parameters, entries of the context of a request | 4096 each | |
//! | pictures of a request | 16 of 5 MiB each | `max_image_bytes` (each) |
//! | pictures of all tasks that wait | 80 MiB | `max_queued_image_bytes` |
//! | results kept | 1024, 16 MiB | `max_results`, `max_result_bytes`, `when_results_full` |
//! | a task's time | 30 s; Comet and Anthropic 120 s; Local server 300 s | `timeout` (from when it is taken), `deadline` (from submission) |
//! | connect / first byte / silence | 10 s / none / 30 s (Anthropic and Local server 60 s) | `connect_timeout`, `first_byte_timeout`, `idle_timeout` |
//!
//! A configuration can come from JSON, with the field names of the Python prototype; every field
//! stands in [`json`](super::json):
//!
//! ```
//! use automation_assistant::HelperConfig;
//!
//! let config: HelperConfig = serde_json::from_str(
//!     r#"{"backend_type": "chatgpt", "name": "writer", "timeout_seconds": 60}"#,
//! )?;
//! # let _ = config;
//! # Ok::<(), serde_json::Error>(())
//! ```
