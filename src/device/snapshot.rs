//! All values of a device at one moment.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::memory::{Memory, ProcessMemory};
use super::network::{Network, Wifi};
use super::power::{Battery, Temperature};
use super::reading::{Reading, late};
use super::system::{Load, Storage};
use crate::calendar::unix_time;

/// The state of the device at one moment. A value that it does not report is
/// [`Unavailable`](Reading::Unavailable), never an error.
///
/// `Display` prints one line per value; [`to_context`](Self::to_context) returns the known ones
/// for a model.
///
/// ```
/// use automation_assistant::TaskRequest;
/// use automation_assistant::device::DeviceSnapshot;
///
/// let snapshot = DeviceSnapshot::read();
/// println!("{snapshot}");
/// let request = TaskRequest::new("Is this device fit for a long job?")
///     .context_map(snapshot.to_context());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeviceSnapshot {
    /// When it was read.
    pub taken_at: SystemTime,
    /// Processor cores that this process may use.
    pub cores: Reading<usize>,
    /// Memory of the device.
    pub memory: Reading<Memory>,
    /// Memory, threads and files of this process.
    pub process: Reading<ProcessMemory>,
    /// Space of the file system that holds the reader's storage path.
    pub storage: Reading<Storage>,
    /// Load averages.
    pub load: Reading<Load>,
    /// Time since the start of the system, suspended time included.
    pub uptime: Reading<Duration>,
    /// Temperatures.
    pub temperature: Reading<Temperature>,
    /// The battery.
    pub battery: Reading<Battery>,
    /// The network.
    pub network: Reading<Network>,
    /// The wireless connection, if the reader allows it
    /// ([`DeviceReader::termux_wifi`](crate::DeviceReader::termux_wifi)).
    pub wifi: Reading<Wifi>,
}

/// Thermal zones in a prompt's context, the hottest first.
const ZONES_IN_CONTEXT: usize = 4;
/// Interfaces in a prompt's context.
const INTERFACES_IN_CONTEXT: usize = 8;

impl DeviceSnapshot {
    /// The highest temperature known, in degrees Celsius: of a thermal zone or the battery.
    pub fn hottest_celsius(&self) -> Option<f64> {
        let zone = self.temperature.value().map(|t| t.max_celsius);
        let battery = self.battery.value().and_then(|b| b.temperature_celsius);
        zone.into_iter().chain(battery).reduce(f64::max)
    }

    /// Each value that the device does not report, and why.
    pub fn unavailable(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("cores", self.cores.why_not()),
            ("memory", self.memory.why_not()),
            ("process", self.process.why_not()),
            ("storage", self.storage.why_not()),
            ("load", self.load.why_not()),
            ("uptime", self.uptime.why_not()),
            ("temperature", self.temperature.why_not()),
            ("battery", self.battery.why_not()),
            ("network", self.network.why_not()),
            ("wifi", self.wifi.why_not()),
        ];
        all.into_iter().filter_map(|(name, why)| Some((name, why?))).collect()
    }

    /// The known values, under one key `device`, for
    /// [`TaskRequest::context_map`](crate::TaskRequest::context_map). The others are listed by
    /// name. A few hundred bytes in all.
    pub fn to_context(&self) -> Map<String, Value> {
        let mut device = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                device.insert(key.to_owned(), value);
            }
        };
        put("cores", known(&self.cores));
        put("memory", known(&self.memory));
        put(
            "process",
            self.process.value().map(|process| {
                json!({
                    "resident_bytes": process.resident_bytes,
                    "threads": process.threads,
                    "open_files": process.open_files.value(),
                })
            }),
        );
        put("storage", known(&self.storage));
        put("load", known(&self.load));
        put("uptime_seconds", self.uptime.value().map(|uptime| uptime.as_secs().into()));
        put(
            "temperature",
            self.temperature.value().map(|temperature| {
                let zones = temperature.zones.iter().take(ZONES_IN_CONTEXT).collect::<Vec<_>>();
                json!({"max_celsius": temperature.max_celsius, "zones": zones})
            }),
        );
        put("battery", known(&self.battery));
        put(
            "network",
            self.network.value().map(|network| {
                let up = network.interfaces_up.iter().take(INTERFACES_IN_CONTEXT);
                json!({"has_route": network.has_route, "interfaces_up": up.collect::<Vec<_>>()})
            }),
        );
        put("wifi", known(&self.wifi));
        let missing: Vec<_> = self.unavailable().into_iter().map(|(name, _)| name).collect();
        put("unavailable", (!missing.is_empty()).then(|| json!(missing)));
        Map::from_iter([("device".to_owned(), Value::Object(device))])
    }
}

fn known<T: Serialize>(reading: &Reading<T>) -> Option<Value> {
    // Plain structs of numbers and names, which serde_json always serializes.
    reading.value().and_then(|value| serde_json::to_value(value).ok())
}

impl Serialize for DeviceSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("DeviceSnapshot", 11)?;
        out.serialize_field("taken_at", &unix_time(self.taken_at))?;
        out.serialize_field("cores", &self.cores)?;
        out.serialize_field("memory", &self.memory)?;
        out.serialize_field("process", &self.process)?;
        out.serialize_field("storage", &self.storage)?;
        out.serialize_field("load", &self.load)?;
        let uptime = self.uptime.clone().map(|uptime| uptime.as_secs_f64());
        out.serialize_field("uptime_seconds", &uptime)?;
        out.serialize_field("temperature", &self.temperature)?;
        out.serialize_field("battery", &self.battery)?;
        out.serialize_field("network", &self.network)?;
        out.serialize_field("wifi", &self.wifi)?;
        out.end()
    }
}

impl fmt::Display for DeviceSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "Cores", &self.cores, |cores| cores.to_string())?;
        line(f, "Memory", &self.memory, memory_line)?;
        line(f, "Process", &self.process, process_line)?;
        line(f, "Storage", &self.storage, |storage| {
            let (free, all) = (bytes(storage.available_bytes), bytes(storage.total_bytes));
            format!("{free} available of {all}")
        })?;
        line(f, "Load", &self.load, |load| {
            let Load { one_minute, five_minutes, fifteen_minutes } = load;
            format!("{one_minute:.2} {five_minutes:.2} {fifteen_minutes:.2} (1, 5, 15 min)")
        })?;
        line(f, "Uptime", &self.uptime, |uptime| uptime_text(*uptime))?;
        line(f, "Temperature", &self.temperature, |temperature| {
            let name = temperature.zones.first().map_or("", |zone| &zone.name);
            let count = temperature.zones.len();
            format!("{:.1} °C at most ({name}, of {count} zones)", temperature.max_celsius)
        })?;
        line(f, "Battery", &self.battery, battery_line)?;
        line(f, "Network", &self.network, network_line)?;
        line(f, "Wi-Fi", &self.wifi, |wifi| match (wifi.connected, wifi.signal_dbm) {
            (true, Some(signal)) => format!("connected, signal {signal} dBm"),
            (true, None) => "connected".to_owned(),
            (false, _) => "not connected".to_owned(),
        })
    }
}

fn line<T>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    reading: &Reading<T>,
    text: impl FnOnce(&T) -> String,
) -> fmt::Result {
    match reading {
        Reading::Value(value) => writeln!(f, "{name:<12} {}", text(value)),
        Reading::Unavailable(why) => writeln!(f, "{name:<12} unavailable: {why}"),
        Reading::TimedOut(limit) => writeln!(f, "{name:<12} {}", late(*limit)),
    }
}

fn memory_line(memory: &Memory) -> String {
    let (free, all) = (bytes(memory.available_bytes), bytes(memory.total_bytes));
    let mut text = format!("{free} available of {all}");
    if let Some(limit) = memory.limit_bytes {
        text += &format!(", limited to {}", bytes(limit));
    }
    if memory.swap_total_bytes > 0 {
        let (free, all) = (bytes(memory.swap_free_bytes), bytes(memory.swap_total_bytes));
        text += &format!("; swap {free} free of {all}");
    }
    text
}

fn process_line(process: &ProcessMemory) -> String {
    let mut text = format!("{} resident", bytes(process.resident_bytes));
    if let Some(&proportional) = process.proportional_bytes.value() {
        text += &format!(" ({} its own share)", bytes(proportional));
    }
    if let Some(threads) = process.threads {
        let plural = if threads == 1 { "" } else { "s" };
        text += &format!(", {threads} thread{plural}");
    }
    if let Some(files) = process.open_files.value() {
        text += &format!(", {files} open files");
    }
    text
}

fn battery_line(battery: &Battery) -> String {
    let mut text = format!("{} %", battery.percent);
    text += match (battery.charging, battery.plugged) {
        (Some(true), _) => ", charging or full",
        (_, Some(true)) => ", at the charger",
        (Some(false), _) | (_, Some(false)) => ", discharging",
        (None, None) => "",
    };
    if let Some(celsius) = battery.temperature_celsius {
        text += &format!(", {celsius:.1} °C");
    }
    text
}

fn network_line(network: &Network) -> String {
    let route = match network.has_route {
        Some(true) => "a route to the internet",
        Some(false) => "no route to the internet",
        None => "routes unknown",
    };
    match network.interfaces_up.as_slice() {
        [] => route.to_owned(),
        up => format!("{route}; up: {}", up.join(", ")),
    }
}

/// A size for people, in binary units.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    const STEP: f64 = 1024.0;
    let mut size = count as f64 / STEP;
    let mut units = UNITS.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for next in units {
        if size < STEP {
            break;
        }
        size /= STEP;
        unit = next;
    }
    format!("{size:.1} {unit}")
}

fn uptime_text(uptime: Duration) -> String {
    let minutes = uptime.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match days {
        0 => format!("{hours} h {minutes:02} min"),
        _ => format!("{days} d {hours} h {minutes:02} min"),
    }
}
