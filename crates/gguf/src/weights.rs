//! A loaded model: weights, chat template, and what contexts are made with.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use automation_assistant::{ErrorKind, TaskError};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};
use llguidance::ParserFactory;

use crate::error::LoadError;
use crate::schema;
use crate::template::Template;

/// The settings that a backend was built with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) context_tokens: u32,
    pub(crate) batch_tokens: u32,
    pub(crate) threads: usize,
    pub(crate) seed: Option<u64>,
}

/// A loaded model.
pub(crate) struct Weights {
    pub(crate) model: LlamaModel,
    pub(crate) template: Template,
    pub(crate) settings: Settings,
    /// Memory of one more context, in bytes.
    pub(crate) context_bytes: u64,
    /// The length of the longest token, in bytes as the file has it.
    pub(crate) token_bytes_max: usize,
    /// llama.cpp notes something in the model while it makes a context.
    pub(crate) making: Mutex<()>,
    /// Made by the first request that needs it: it takes a walk over the vocabulary.
    constraints: OnceLock<Option<ParserFactory>>,
}

impl Weights {
    pub(crate) fn load(
        path: &Path,
        settings: Settings,
        context_bytes: u64,
        token_bytes_max: usize,
    ) -> Result<Arc<Self>, LoadError> {
        // Mapped, not read: the pages belong to the file, and the system may drop them.
        let params = LlamaModelParams::default().with_use_mmap(true);
        let model = LlamaModel::load_from_file(llama(), path, &params)
            .map_err(|_| LoadError::Rejected { path: path.into(), step: "load the weights" })?;
        let template = Template::of(&model)
            .map_err(|why| LoadError::InvalidFile { path: path.into(), why })?;
        Ok(Arc::new(Self {
            model,
            template,
            settings,
            context_bytes,
            token_bytes_max,
            making: Mutex::new(()),
            constraints: OnceLock::new(),
        }))
    }

    /// The factory that turns schemas into constraints.
    pub(crate) fn constraints(&self) -> Result<&ParserFactory, TaskError> {
        self.constraints.get_or_init(|| schema::factory(&self.model)).as_ref().ok_or_else(|| {
            TaskError::new(
                ErrorKind::Unsupported,
                "the model's vocabulary cannot be constrained: ask without schema and tools",
            )
        })
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// llama.cpp's own global state. It is never taken down: models may live as long as the process.
pub(crate) fn llama() -> &'static LlamaBackend {
    static LLAMA: OnceLock<LlamaBackend> = OnceLock::new();
    LLAMA.get_or_init(|| {
        // Without a subscriber for `tracing` nothing is printed.
        send_logs_to_tracing(LogOptions::default());
        // The program may have initialised it itself; the value is a token without content.
        LlamaBackend::init().unwrap_or(LlamaBackend {})
    })
}
