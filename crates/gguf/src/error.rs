//! Why a model was not loaded.

use std::fmt;
use std::io;
use std::path::PathBuf;

use automation_assistant::Error;

/// Why a model was not loaded. `Display` has what happened and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is no GGUF file, is cut off, or holds what llama.cpp cannot survive.
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// The fault in it.
        why: String,
    },
    /// The device has too little memory for the weights and one context.
    NotEnoughMemory {
        /// The bytes that weights and context take.
        needed_bytes: u64,
        /// The bytes that the device has left for programs.
        available_bytes: u64,
    },
    /// A setting that cannot be.
    InvalidSetting(String),
    /// llama.cpp could not load the file: its architecture or tokenizer is one that it does not
    /// know, a tensor is missing, or an allocation failed. A `tracing` subscriber gets its own
    /// words.
    Rejected {
        /// The file.
        path: PathBuf,
        /// The step that failed.
        step: &'static str,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::InvalidFile { path, why } => {
                write!(f, "{} is no usable GGUF file: {why}", path.display())
            }
            Self::NotEnoughMemory { needed_bytes, available_bytes } => write!(
                f,
                "the model needs {} MiB, the device has {} MiB available: take a smaller model \
                 or fewer context tokens",
                needed_bytes.div_ceil(MIB),
                available_bytes / MIB,
            ),
            Self::InvalidSetting(why) => f.write_str(why),
            Self::Rejected { path, step } => {
                write!(f, "{}: llama.cpp failed to {step}", path.display())
            }
        }
    }
}

const MIB: u64 = 1 << 20;

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// As [`Error::InvalidConfig`], with the same words.
impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        Self::InvalidConfig(error.to_string())
    }
}
