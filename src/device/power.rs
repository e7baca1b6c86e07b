//! Battery and temperature.

use std::cell::Cell;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::files::{Files, plain_name};
use super::reading::{NoReading, Probed};

/// The battery.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Battery {
    /// Charge, 0 to 100; the mean where there are several.
    pub percent: u8,
    /// Whether it is charging, or full on external power; `None` if the device does not report
    /// it.
    pub charging: Option<bool>,
    /// Whether the device is on external power; `None` if it does not report it.
    pub plugged: Option<bool>,
    /// The battery's own temperature, in degrees Celsius; `None` if the device does not report
    /// it, or reports 0.0 without a known health of the battery.
    pub temperature_celsius: Option<f64>,
    /// The source of the values.
    pub source: BatterySource,
}

/// The source of a battery's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BatterySource {
    /// `/sys/class/power_supply`.
    Sysfs,
    /// The command `termux-battery-status`.
    Termux,
}

impl BatterySource {
    /// The name in JSON: `sysfs`, `termux`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sysfs => "sysfs",
            Self::Termux => "termux",
        }
    }
}

impl fmt::Display for BatterySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Battery {
    /// Whether the device is known to run on external power.
    pub fn on_external_power(&self) -> bool {
        self.charging == Some(true) || self.plugged == Some(true)
    }
}

impl Serialize for Battery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Battery", 5)?;
        out.serialize_field("percent", &self.percent)?;
        out.serialize_field("charging", &self.charging)?;
        out.serialize_field("plugged", &self.plugged)?;
        out.serialize_field("temperature_celsius", &self.temperature_celsius)?;
        out.serialize_field("source", self.source.as_str())?;
        out.end()
    }
}

/// One temperature sensor of the device.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ThermalZone {
    /// The kernel's name for it, such as `cpu-thermal`; several sensors may have the same name.
    pub name: String,
    /// Its temperature, in degrees Celsius.
    pub celsius: f64,
}

impl Serialize for ThermalZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("ThermalZone", 2)?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("celsius", &self.celsius)?;
        out.end()
    }
}

/// Temperatures of the device.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Temperature {
    /// The hottest zone's temperature, in degrees Celsius.
    pub max_celsius: f64,
    /// The zones with plausible values, hottest first. Values of exactly 0 and 25.000 °C, of -40
    /// °C and less, and of 125 °C and more are left out: sensors that are off or not connected
    /// report them.
    pub zones: Vec<ThermalZone>,
}

impl Serialize for Temperature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Temperature", 2)?;
        out.serialize_field("max_celsius", &self.max_celsius)?;
        out.serialize_field("zones", &self.zones)?;
        out.end()
    }
}

const THERMAL: &str = "sys/class/thermal";
pub(crate) const SUPPLIES: &str = "sys/class/power_supply";
/// A working sensor in a working device reports a value between these, in degrees Celsius:
/// silicon is rated for -40 to 125. Sensors that are off or not connected report one of the two,
/// a value beyond, or zero.
const SANE_ABOVE_CELSIUS: f64 = -40.0;
const SANE_BELOW_CELSIUS: f64 = 125.0;
/// One more value of sensors that are not connected (on MediaTek boards), in thousandths of a
/// degree.
const PARKED_MILLI_CELSIUS: i64 = 25_000;
/// Zones of phones' battery monitors that report a charge, a current or a voltage instead of a
/// temperature.
const NO_TEMPERATURE: [&str; 4] = ["bcl", "ibat", "vbat", "vph"];
/// One more, by its full name: a charge in percent. (`soc-thermal` is a temperature.)
const NO_TEMPERATURE_NAME: &str = "soc";

pub(crate) fn temperature(files: &Files<'_>) -> Probed<Temperature> {
    let mut zones = Vec::new();
    let mut late = None;
    for folder in files.names(THERMAL)? {
        let Ok(raw) = files.number(folder.join("temp")).map_err(|why| late = Some(why)) else {
            continue;
        };
        let name = files.text(folder.join("type")).map(|name| plain_name(&name));
        let name = name.unwrap_or_else(|_| "unnamed".to_owned());
        let holds_other = NO_TEMPERATURE.iter().any(|part| name.contains(part));
        if holds_other || name == NO_TEMPERATURE_NAME {
            continue;
        }
        if let Some(celsius) = sane_celsius(raw) {
            zones.push(ThermalZone { name, celsius });
        }
    }
    zones.sort_by(|a, b| b.celsius.total_cmp(&a.celsius));
    match (zones.first(), late) {
        (Some(hottest), _) => Ok(Temperature { max_celsius: hottest.celsius, zones }),
        (None, Some(late @ NoReading::TimedOut(_))) => Err(late),
        (None, _) => Err(NoReading::because(format!("/{THERMAL} has no zone that reads sane"))),
    }
}

/// The kernel's unit is thousandths of a degree; some phones' drivers report tenths, or whole
/// degrees. A value below two degrees in thousandths is taken as one of those.
fn sane_celsius(raw: i64) -> Option<f64> {
    let unit = match raw.unsigned_abs() {
        1..200 => 1.0,
        200..2_000 => 10.0,
        _ => 1_000.0,
    };
    let celsius = raw as f64 / unit;
    let is_parked = raw == 0 || raw == PARKED_MILLI_CELSIUS;
    (is_sane(celsius) && !is_parked).then_some(celsius)
}

fn is_sane(celsius: f64) -> bool {
    SANE_ABOVE_CELSIUS < celsius && celsius < SANE_BELOW_CELSIUS
}

/// A battery's temperature. Drivers without a sensor report 0.0 and no health; a battery with the
/// health good or cold may really be at 0.0.
fn battery_celsius(celsius: f64, health: Option<&str>) -> Option<f64> {
    let knows_health = health.is_some_and(|health| health != "unknown");
    (is_sane(celsius) && (celsius != 0.0 || knows_health)).then_some(celsius)
}

pub(crate) fn battery(files: &Files<'_>) -> Probed<Battery> {
    let mut percents = Vec::new();
    let mut charging = None;
    let mut plugged = None;
    let mut hottest: Option<f64> = None;
    let denied = Cell::new(None);
    for folder in files.names(SUPPLIES)? {
        let read = |name: &str| match files.text(folder.join(name)) {
            Ok(text) => Some(text.trim().to_ascii_lowercase()),
            Err(why @ NoReading::Denied(_)) => {
                denied.set(Some(why));
                None
            }
            Err(_) => None,
        };
        match read("type").as_deref() {
            // Mice and pens have batteries too.
            Some("battery") if read("scope").as_deref() != Some("device") => {
                let percent = read("capacity").and_then(|text| text.parse::<u8>().ok());
                percents.extend(percent.filter(|percent| *percent <= 100));
                charging = either(charging, read("status").as_deref().and_then(charges));
                let tenths = read("temp").and_then(|text| text.parse::<f64>().ok());
                let health = read("health");
                let celsius =
                    tenths.and_then(|tenths| battery_celsius(tenths / 10.0, health.as_deref()));
                hottest = hottest.into_iter().chain(celsius).reduce(f64::max);
            }
            Some("mains" | "usb" | "wireless") => {
                let online = read("online").map(|text| text != "0");
                plugged = either(plugged, online);
            }
            _ => {}
        }
    }
    let sum: u32 = percents.iter().copied().map(u32::from).sum();
    let mean = sum.checked_div(percents.len() as u32).and_then(|mean| u8::try_from(mean).ok());
    let Some(percent) = mean else {
        files.in_time()?;
        return Err(denied.into_inner().unwrap_or_else(|| {
            NoReading::because(format!("/{SUPPLIES} has no battery that reports its charge"))
        }));
    };
    let source = BatterySource::Sysfs;
    Ok(Battery { percent, charging, plugged, temperature_celsius: hottest, source })
}

/// `true` wins, and a known value wins over an unknown one.
fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a || b),
        (a, b) => a.or(b),
    }
}

/// The meaning of a status in the kernel's or Android's words.
fn charges(status: &str) -> Option<bool> {
    match status {
        "charging" | "full" => Some(true),
        "discharging" | "not charging" | "not_charging" => Some(false),
        _ => None,
    }
}

/// Parses the output of `termux-battery-status`.
pub(crate) fn battery_of_termux(printed: &Value) -> Probed<Battery> {
    let word = |key: &str| printed.get(key)?.as_str().map(str::to_ascii_lowercase);
    let number = |key: &str| {
        let value = printed.get(key)?;
        // Some versions print numbers as text.
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
    };
    let percent = number("percentage").filter(|percent| (0.0..=100.0).contains(percent));
    let Some(percent) = percent else {
        return Err(odd_answer());
    };
    Ok(Battery {
        // In 0 to 100.
        percent: percent.round() as u8,
        charging: word("status").as_deref().and_then(charges),
        plugged: word("plugged").map(|how| how != "unplugged"),
        temperature_celsius: number("temperature")
            .and_then(|celsius| battery_celsius(celsius, word("health").as_deref())),
        source: BatterySource::Termux,
    })
}

fn odd_answer() -> NoReading {
    NoReading::because("termux-battery-status printed no charge")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_battery_of_termux_at_zero_degrees_is_cold_only_if_its_health_is_known() {
        for (health, temperature, celsius) in [
            // The output on a Chromebook's Android.
            (json!("UNKNOWN"), json!(0.0), None),
            (json!("unknown"), json!("0.0"), None),
            (json!(null), json!(0), None),
            (json!("GOOD"), json!(0.0), Some(0.0)),
            (json!("COLD"), json!("0"), Some(0.0)),
            (json!("UNKNOWN"), json!(24.6), Some(24.6)),
            (json!("GOOD"), json!(-40.0), None),
            (json!("GOOD"), json!(125.0), None),
        ] {
            let printed = json!({
                "health": health, "percentage": 71, "plugged": "PLUGGED_AC",
                "status": "CHARGING", "temperature": temperature,
            });
            let Ok(battery) = battery_of_termux(&printed) else { panic!("{printed}") };
            assert_eq!(battery.temperature_celsius, celsius, "{printed}");
            assert_eq!((battery.percent, battery.charging), (71, Some(true)));
        }
    }
}
