//! The settings of servers with one or both of OpenAI's APIs.

use crate::config::HelperConfig;
use crate::task::OpenAiApi;

/// The setting that names an API.
pub(super) const SETTING: &str = "openai_api";
/// The setting with a key for the provider's cache of prompts.
pub(super) const CACHE_KEY: &str = "prompt_cache_key";

impl HelperConfig {
    /// Which of OpenAI's APIs is spoken, at ChatGPT and a Local model server. Defaults to
    /// [`OpenAiApi::Auto`]: the full URL of one of the calls as endpoint decides; else Responses at
    /// `api.openai.com`, unless a parameter is set that Chat Completions alone has (`seed`, `stop`,
    /// …), and Chat Completions elsewhere. Where the server's rejection names the other API,
    /// the request is sent there once, as a further attempt that is no retry, and the helper
    /// remembers it for that model.
    #[must_use]
    pub fn openai_api(self, api: OpenAiApi) -> Self {
        self.setting(SETTING, api.as_str().to_owned())
    }

    /// A key under which OpenAI keeps what it has read of a prompt, so that prompts with the same
    /// beginning cost less; at ChatGPT and a Local model server. Defaults to none.
    #[must_use]
    pub fn prompt_cache_key(self, key: impl Into<String>) -> Self {
        self.setting(CACHE_KEY, key.into())
    }
}
