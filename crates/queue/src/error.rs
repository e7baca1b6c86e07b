//! The errors of a queue's calls.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use crate::id::JobId;

/// Why a call of the queue failed. No text of it holds a prompt, a reply or a password.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The job cannot be accepted as it is; the text says why and what to do.
    InvalidJob(String),
    /// The configuration cannot work as it is; the text says why and what to do.
    InvalidConfig(String),
    /// A bound is reached: too many jobs or bytes, or a server out of memory. Nothing of this
    /// call, or of this part of a large [`push_all`](crate::JobQueue::push_all), was pushed.
    Full(String),
    /// The queue has no record of this job: it never had, or its outcome was dropped for its
    /// age, or for newer ones.
    UnknownJob(JobId),
    /// The wait ended before the job did; the job goes on.
    WaitTimedOut {
        /// How long the caller was ready to wait.
        waited: Duration,
    },
    /// Another process (or another [`JobQueue`](crate::JobQueue) of this one) has the file.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or the server's queue was made by a newer version.
    NewerFormat {
        /// The file, or the queue on the server.
        place: String,
        /// The version found there.
        found: u64,
        /// The newest version that this crate reads.
        known: u64,
    },
    /// A file could not be read or written.
    Storage {
        /// The file.
        path: PathBuf,
        /// The step that was tried, and its failure.
        what: String,
        /// Whether the same step may go through later: the disk is full, or fails. Not where the
        /// file is damaged, no queue, or may not be opened.
        passing: bool,
    },
    /// The server could not be reached, or the connection broke. Trying again may help.
    Unreachable {
        /// Host and port, without credentials.
        server: String,
        /// Its failure.
        what: String,
    },
    /// The server refused: the password, a permission, a read-only replica.
    Refused {
        /// Host and port, without credentials.
        server: String,
        /// The refused step, and the remedy.
        what: String,
    },
    /// A record in the queue is damaged, or larger than it may be.
    BadRecord(String),
    /// The worker cannot go on; the text says why.
    Worker(String),
}

impl Error {
    /// Whether the same call may go through later without anything being changed: the server
    /// is away, restarts, takes no further client, or is out of memory; the disk is full,
    /// or fails.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Full(_) | Self::Storage { passing: true, .. }
        )
    }
}

/// Whether a failure of a file may pass without anybody changing the file or its path.
pub(crate) fn io_is_passing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let lasting = [
        Kind::NotFound,
        Kind::PermissionDenied,
        Kind::IsADirectory,
        Kind::NotADirectory,
        Kind::ReadOnlyFilesystem,
        Kind::InvalidInput,
        // Not what the file should hold, or less than it says.
        Kind::InvalidData,
        Kind::UnexpectedEof,
        Kind::Unsupported,
    ];
    !lasting.contains(&error.kind())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidJob(why) => write!(f, "invalid job: {why}"),
            Self::InvalidConfig(why) => write!(f, "invalid configuration: {why}"),
            Self::Full(why) => write!(f, "the queue is full: {why}"),
            Self::UnknownJob(id) => {
                write!(f, "no record of job {id}: never pushed here, or its outcome was dropped")
            }
            Self::WaitTimedOut { waited } => {
                write!(f, "not finished after {waited:?}; the job goes on")
            }
            Self::InUse { path } => write!(
                f,
                "{} is in use: one process at a time may open a queue's file",
                path.display()
            ),
            Self::NewerFormat { place, found, known } => {
                write!(f, "{place} has format {found}, this version reads up to {known}: update it")
            }
            Self::Storage { path, what, .. } => write!(f, "{}: {what}", path.display()),
            Self::Unreachable { server, what } => write!(f, "{server}: {what}"),
            Self::Refused { server, what } => write!(f, "{server} refused: {what}"),
            Self::BadRecord(what) => write!(f, "bad record: {what}"),
            Self::Worker(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
