//! The registry of helpers, and the tasks of each by id.

mod builder;
mod create;
mod registry;
mod tasks;
mod trace_sink;
mod watch_set;

pub use builder::ManagerBuilder;
pub use create::{
    create_anthropic_helper, create_chatgpt_helper, create_comet_helper, create_local_helper,
};
pub use registry::{AutomationAssistantManager, DEFAULT_MAX_HELPERS};
pub(crate) use watch_set::WatchSet;
