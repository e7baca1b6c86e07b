//! The device, as tools that a model may call.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::reader::DeviceReader;
use super::reading::Reading;
use crate::tool::{FnTool, Tool};

/// Tools with which a model reads this device: `device_snapshot`, `device_battery`,
/// `device_memory`, `device_storage`, `device_temperature`, `device_network`.
///
/// They take no arguments, change nothing, and start no process. Of the network they report only
/// whether there is a route, and the names of interfaces. For other options (Termux:API, another
/// storage path) see [`DeviceReader::tools`]; for tools that act, [`DeviceReader::acting_tools`].
pub fn device_tools() -> Vec<Arc<dyn Tool>> {
    DeviceReader::new().tools()
}

impl DeviceReader {
    /// The same tools as [`device_tools`], over this reader. Each answer is JSON of at most a few
    /// KiB.
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        vec![
            tool(
                "device_snapshot",
                "The state of this device: cores, memory, own process, storage, load, uptime, \
                 temperature, battery, network. Call it for an overview.",
                self,
                |reader| Ok(Value::Object(reader.read().to_context()).to_string()),
            ),
            tool(
                "device_battery",
                "Charge of this device's battery in percent, whether it is charging, and its \
                 temperature.",
                self,
                |reader| answer(&reader.battery()),
            ),
            tool(
                "device_memory",
                "Memory and swap of this device in bytes: total, available.",
                self,
                |reader| answer(&reader.memory()),
            ),
            tool(
                "device_storage",
                "Space on this device's storage in bytes: total, available.",
                self,
                |reader| answer(&reader.storage()),
            ),
            tool(
                "device_temperature",
                "Temperatures inside this device in degrees Celsius, hottest first.",
                self,
                |reader| {
                    answer(&reader.temperature().map(|mut temperature| {
                        temperature.zones.truncate(MAX_ZONES);
                        temperature
                    }))
                },
            ),
            tool(
                "device_network",
                "Whether this device has a route to the internet, and which interfaces are up.",
                self,
                |reader| {
                    answer(&reader.network().map(|mut network| {
                        network.interfaces_up.truncate(MAX_INTERFACES);
                        network
                    }))
                },
            ),
        ]
    }
}

/// Most thermal zones in one answer: a phone has up to a hundred, of which a model needs
/// the hottest.
const MAX_ZONES: usize = 16;
/// Most interfaces in one answer.
const MAX_INTERFACES: usize = 16;

fn tool(
    name: &str,
    description: &str,
    reader: &DeviceReader,
    ask: impl Fn(&DeviceReader) -> Result<String, String> + Send + Sync + 'static,
) -> Arc<dyn Tool> {
    let reader = reader.clone();
    // Strict mode requires all of these keys.
    let none = json!({
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": false,
    });
    Arc::new(FnTool::new(name, description, none, move |_: &Value| ask(&reader)))
}

fn answer<T: Serialize>(reading: &Reading<T>) -> Result<String, String> {
    match reading.why_not() {
        Some(why) => Err(why),
        None => serde_json::to_string(reading).map_err(|error| error.to_string()),
    }
}
