//! Short forms that spawn a helper by its name and model.

use super::registry::AutomationAssistantManager;
use crate::config::HelperConfig;
use crate::error::Error;
use crate::id::HelperId;

/// Spawns a ChatGPT helper; the key comes from `OPENAI_API_KEY`.
///
/// # Errors
///
/// As [`AutomationAssistantManager::spawn_helper`].
pub fn create_chatgpt_helper(
    manager: &AutomationAssistantManager,
    name: &str,
    model: &str,
) -> Result<HelperId, Error> {
    create(manager, HelperConfig::chatgpt(), name, Some(model))
}

/// Spawns an Anthropic helper; the key comes from `ANTHROPIC_API_KEY` or
/// `ANTHROPIC_AUTH_TOKEN`.
///
/// # Errors
///
/// As [`AutomationAssistantManager::spawn_helper`].
pub fn create_anthropic_helper(
    manager: &AutomationAssistantManager,
    name: &str,
    model: &str,
) -> Result<HelperId, Error> {
    create(manager, HelperConfig::anthropic(), name, Some(model))
}

/// Spawns a Comet helper; the key comes from `OPIK_API_KEY`.
///
/// # Errors
///
/// As [`AutomationAssistantManager::spawn_helper`].
pub fn create_comet_helper(
    manager: &AutomationAssistantManager,
    name: &str,
    model: &str,
) -> Result<HelperId, Error> {
    create(manager, HelperConfig::comet(), name, Some(model))
}

/// Spawns a Local helper with the embedded engine.
///
/// # Errors
///
/// As [`AutomationAssistantManager::spawn_helper`].
pub fn create_local_helper(
    manager: &AutomationAssistantManager,
    name: &str,
) -> Result<HelperId, Error> {
    create(manager, HelperConfig::local(), name, None)
}

fn create(
    manager: &AutomationAssistantManager,
    config: HelperConfig,
    name: &str,
    model: Option<&str>,
) -> Result<HelperId, Error> {
    let config = config.name(name);
    manager.spawn_helper(match model {
        Some(model) => config.model(model),
        None => config,
    })
}
