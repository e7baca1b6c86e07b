//! A backend of the program's own, which no configuration can make.

use crate::backend::AiBackend;
use crate::config::{BackendType, HelperConfig, IDLE, Provider, TIMEOUT, TraceMode};
use crate::env::Env;
use crate::error::Error;

/// The program's own.
pub(super) static CUSTOM: Provider = Provider {
    backend_type: BackendType::Custom,
    label: "Custom",
    vendor: None,
    key_variables: &[],
    base_variable: None,
    default_base: None,
    default_model: None,
    timeout: TIMEOUT,
    idle_timeout: IDLE,
    trace: TraceMode::Off,
    settings: &[],
    refuse_param: None,
    with_endpoint: None,
    build,
};

fn build(_: &HelperConfig, _: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
    Err(Error::InvalidConfig(
        "a Custom helper needs its backend: use spawn_helper_with, \
         or AutomationHelper::builder(..).backend(..)"
            .to_owned(),
    ))
}
