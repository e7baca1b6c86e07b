//! Settings of a backend.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use automation_assistant::device::DeviceProfile;

use crate::backend::GgufBackend;
use crate::context::Context;
use crate::error::LoadError;
use crate::header::Header;
use crate::memory;
use crate::weights::{Settings, Weights};

/// Context tokens where none are set: a page or two of text, and 45 MiB with SmolLM2-135M.
pub const DEFAULT_CONTEXT_TOKENS: u32 = 2048;
/// Fewer context tokens than this hold no conversation.
pub const MIN_CONTEXT_TOKENS: u32 = 64;
/// The most tokens of a prompt that are computed at once where nothing else is set: more are no
/// faster without a graphics processor, and take memory.
pub const DEFAULT_BATCH_TOKENS: u32 = 64;
/// The most that [`GgufBuilder::batch_tokens`] may be.
pub const MAX_BATCH_TOKENS: u32 = 2048;
/// The most threads of one call.
pub const MAX_THREADS: usize = 64;

/// Makes a [`GgufBackend`]; see [`GgufBackend::builder`].
#[derive(Debug, Clone)]
pub struct GgufBuilder {
    path: PathBuf,
    context_tokens: u32,
    batch_tokens: u32,
    threads: Option<usize>,
    seed: Option<u64>,
}

impl GgufBackend {
    /// A builder with all defaults for this file.
    ///
    /// ```no_run
    /// use automation_assistant::{AutomationAssistantManager, BackendType, HelperConfig};
    /// use automation_assistant_gguf::GgufBackend;
    ///
    /// let backend = GgufBackend::builder("model.gguf").context_tokens(4096).build()?;
    /// let manager = AutomationAssistantManager::new(2);
    /// let config = HelperConfig::new(BackendType::Custom).name("notes").max_concurrent_tasks(2);
    /// let notes = manager.spawn_helper_with(config, backend.clone())?;
    /// let mail = HelperConfig::new(BackendType::Custom).name("mail");
    /// let mail = manager.spawn_helper_with(mail, backend)?;
    /// # let _ = (notes, mail);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(path: impl AsRef<Path>) -> GgufBuilder {
        GgufBuilder::new(path.as_ref().to_owned())
    }
}

impl GgufBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            context_tokens: DEFAULT_CONTEXT_TOKENS,
            batch_tokens: DEFAULT_BATCH_TOKENS,
            threads: None,
            seed: None,
        }
    }

    /// How many tokens prompt and answer may have together; never more than the model was made
    /// for. Memory grows with it. At least [`MIN_CONTEXT_TOKENS`]. Defaults to
    /// [`DEFAULT_CONTEXT_TOKENS`].
    #[must_use]
    pub fn context_tokens(mut self, tokens: u32) -> Self {
        self.context_tokens = tokens;
        self
    }

    /// The most tokens of a prompt that are computed between two checks of cancel and deadline,
    /// from 1 to [`MAX_BATCH_TOKENS`]. A batch is smaller, down to 8 tokens, where a larger one
    /// would take more than 200 ms. Memory grows with it. Defaults to [`DEFAULT_BATCH_TOKENS`].
    #[must_use]
    pub fn batch_tokens(mut self, tokens: u32) -> Self {
        self.batch_tokens = tokens;
        self
    }

    /// How many threads compute one call, the helper's own included, from 1 to
    /// [`MAX_THREADS`]; the others live as long as the computation of one batch or token. They
    /// wait for each other busily: never more than there are idle cores. Defaults to the
    /// [`DeviceProfile`]'s threads of a helper, at most one fewer than the cores, at least 1.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The seed of requests that bring none. It matters where `temperature` is above 0.
    /// Defaults to a random one for each request.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Checks the file and the memory, and loads the weights. The first context is made, too.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn build(self) -> Result<GgufBackend, LoadError> {
        let settings = self.settings()?;
        let header = Header::of_file(&self.path)?;
        let settings = Settings {
            context_tokens: settings.context_tokens.min(header.context_tokens()),
            ..settings
        };
        let context_bytes = header.context_bytes(settings.context_tokens, settings.batch_tokens);
        memory::admit(header.weight_bytes().saturating_add(context_bytes)).map_err(
            |(needed_bytes, available_bytes)| LoadError::NotEnoughMemory {
                needed_bytes,
                available_bytes,
            },
        )?;
        let token_bytes_max = header.token_bytes_max();
        let weights = Weights::load(&self.path, settings, context_bytes, token_bytes_max)?;
        let first = Context::new(&weights)
            .map_err(|_| LoadError::Rejected { path: self.path.clone(), step: "make a context" })?;
        Ok(GgufBackend::new(model_name(&self.path), weights, first))
    }

    fn settings(&self) -> Result<Settings, LoadError> {
        let invalid = |what: String| Err(LoadError::InvalidSetting(what));
        let threads = self.threads.unwrap_or_else(default_threads);
        if self.context_tokens < MIN_CONTEXT_TOKENS {
            return invalid(format!(
                "context_tokens is {}: it must be at least {MIN_CONTEXT_TOKENS}",
                self.context_tokens
            ));
        }
        if !(1..=MAX_BATCH_TOKENS).contains(&self.batch_tokens) {
            return invalid(format!(
                "batch_tokens is {}: it must be from 1 to {MAX_BATCH_TOKENS}",
                self.batch_tokens
            ));
        }
        if !(1..=MAX_THREADS).contains(&threads) {
            return invalid(format!("threads is {threads}: it must be from 1 to {MAX_THREADS}"));
        }
        Ok(Settings {
            context_tokens: self.context_tokens,
            batch_tokens: self.batch_tokens,
            threads,
            seed: self.seed,
        })
    }
}

fn default_threads() -> usize {
    let profile = DeviceProfile::detect();
    profile.threads_per_helper().min(profile.cores().saturating_sub(1)).max(1)
}

/// The file's name without its folder and ending.
fn model_name(path: &Path) -> Arc<str> {
    path.file_stem().map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into())
}
