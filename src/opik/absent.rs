//! The sink of a build without HTTP: it cannot be created.

use std::convert::Infallible;
use std::time::Duration;

use crate::error::Error;
use crate::event::{Event, Observe};
use crate::opik::{FlushReport, OpikConfig, OpikStats};
use crate::trace::TraceId;

/// Sends traces of helpers' tasks to Opik. This build has no HTTP, so no sink can be created:
/// enable the cargo feature `http` or `tls`.
#[derive(Debug, Clone)]
pub struct OpikSink(Infallible);

impl OpikSink {
    /// Always an error in this build.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`].
    pub fn new(_: OpikConfig) -> Result<Self, Error> {
        Err(Error::Unsupported { what: "tracing to Opik", feature: "http" })
    }

    /// Never called: there is no such sink.
    pub fn score(&self, _: TraceId, _: &str, _: f64) -> bool {
        match self.0 {}
    }

    pub(crate) fn score_in(&self, _: TraceId, _: &str, _: f64, _: Option<&str>) -> bool {
        match self.0 {}
    }

    /// Never called: there is no such sink.
    pub fn flush(&self, _: Duration) -> FlushReport {
        match self.0 {}
    }

    /// Never called: there is no such sink.
    pub fn stats(&self) -> OpikStats {
        match self.0 {}
    }

    pub(crate) fn close(&self) {
        match self.0 {}
    }
}

impl Observe for OpikSink {
    fn on_event(&self, _: &Event<'_>) {
        match self.0 {}
    }
}
