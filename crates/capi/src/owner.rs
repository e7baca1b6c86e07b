//! A manager as its helpers know it.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

use automation_assistant::AutomationAssistantManager;

pub(crate) struct Manager {
    pub(crate) core: AutomationAssistantManager,
    freed: AtomicBool,
}

impl Manager {
    pub(crate) fn new(core: AutomationAssistantManager) -> Self {
        Self { core, freed: AtomicBool::new(false) }
    }

    /// Stops its helpers now, not when the last call that still has the manager returns.
    pub(crate) fn free(&self) {
        self.freed.store(true, Ordering::Release);
        self.core.terminate_all();
    }

    /// Whether its handle was freed; a call on another thread may still use it.
    pub(crate) fn is_freed(&self) -> bool {
        self.freed.load(Ordering::Acquire)
    }
}
