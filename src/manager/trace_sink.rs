//! The interface between the manager and the trace sink.

use crate::error::Error;
use crate::event::Observe;
use crate::opik::{OpikConfig, OpikSink};

/// A sink behind a trait object. Only [`ManagerBuilder::opik`](crate::ManagerBuilder::opik)
/// names the type behind it, so that a program without traces does not link the code that
/// sends them (a twentieth of the program).
pub(super) trait TraceSink: Send + Sync {
    fn sink(&self) -> &OpikSink;
    fn observer(&self) -> std::sync::Arc<dyn Observe>;
    fn close(&self);
}

impl TraceSink for OpikSink {
    fn sink(&self) -> &OpikSink {
        self
    }

    fn observer(&self) -> std::sync::Arc<dyn Observe> {
        std::sync::Arc::new(self.clone())
    }

    fn close(&self) {
        Self::close(self);
    }
}

/// Makes a sink; see [`TraceSink`].
pub(super) type MakeSink = fn(OpikConfig) -> Result<Box<dyn TraceSink>, Error>;
