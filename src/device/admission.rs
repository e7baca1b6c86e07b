//! Whether the device is fit for a task that goes to the cloud.
//!
//! A pure function of a snapshot: it reads nothing, waits for nothing, and keeps no state.

use std::fmt;

use super::reading::Reading;
use super::snapshot::{DeviceSnapshot, bytes};

/// The action for a cloud task while the device is beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CloudAction {
    /// It waits until the device is within its limits again, or its own time is over.
    #[default]
    Wait,
    /// It is rejected with [`Error::NotAdmitted`](crate::Error::NotAdmitted).
    Refuse,
    /// It goes to the helper of
    /// [`AdmissionControl::local_helper`](crate::AdmissionControl::local_helper), and is rejected
    /// where none is set.
    UseLocal,
}

impl fmt::Display for CloudAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Wait => "wait",
            Self::Refuse => "refuse",
            Self::UseLocal => "use_local",
        })
    }
}

/// The limit that the device is beyond.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Pressure {
    /// The battery is low, and the device is not at a charger.
    Battery {
        /// Its charge, 0 to 100.
        percent: u8,
        /// The policy's minimum.
        min_percent: u8,
    },
    /// Memory is short.
    Memory {
        /// Bytes available.
        available_bytes: u64,
        /// The policy's minimum, in bytes.
        min_bytes: u64,
    },
    /// The device is hot.
    Temperature {
        /// The hottest thermal zone, in degrees Celsius.
        celsius: f64,
        /// The policy's maximum, in degrees Celsius.
        max_celsius: f64,
    },
    /// The battery is hot.
    BatteryTemperature {
        /// Its temperature, in degrees Celsius.
        celsius: f64,
        /// The policy's maximum, in degrees Celsius.
        max_celsius: f64,
    },
    /// The device does not report a value that a limit is set on, and the policy is strict.
    Unknown {
        /// The name of the value.
        what: &'static str,
        /// Why it is not reported.
        why: String,
    },
}

impl Pressure {
    /// A short name, for telemetry: `battery`, `memory`, `temperature`,
    /// `battery_temperature`, `unknown`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Battery { .. } => "battery",
            Self::Memory { .. } => "memory",
            Self::Temperature { .. } => "temperature",
            Self::BatteryTemperature { .. } => "battery_temperature",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Battery { percent, min_percent } => {
                write!(f, "the battery is at {percent} %, below the limit of {min_percent} %")
            }
            Self::Memory { available_bytes, min_bytes } => write!(
                f,
                "{} of memory are available, below the limit of {}",
                bytes(*available_bytes),
                bytes(*min_bytes)
            ),
            Self::Temperature { celsius, max_celsius } => {
                write!(f, "the device is at {celsius:.1} °C, above the limit of {max_celsius} °C")
            }
            Self::BatteryTemperature { celsius, max_celsius } => {
                write!(f, "the battery is at {celsius:.1} °C, above the limit of {max_celsius} °C")
            }
            Self::Unknown { what, why } => {
                write!(f, "the device does not report its {what} ({why}), and the policy is strict")
            }
        }
    }
}

/// The decision on a cloud task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Admission {
    /// It is submitted.
    Admit,
    /// It should wait; decide again with a later snapshot.
    Wait(Pressure),
    /// It is rejected.
    Refuse(Pressure),
    /// It goes to the Local backend.
    UseLocal(Pressure),
}

impl Admission {
    /// Whether the task may be sent to the cloud now.
    pub const fn is_admitted(&self) -> bool {
        matches!(self, Self::Admit)
    }

    /// The limit that the device is beyond, if it is.
    pub const fn pressure(&self) -> Option<&Pressure> {
        match self {
            Self::Admit => None,
            Self::Wait(why) | Self::Refuse(why) | Self::UseLocal(why) => Some(why),
        }
    }

    /// A short name, for telemetry: `admit`, `wait`, `refuse`, `use_local`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Wait(_) => "wait",
            Self::Refuse(_) => "refuse",
            Self::UseLocal(_) => "use_local",
        }
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admit => f.write_str("admitted"),
            Self::Wait(why) => write!(f, "waits: {why}"),
            Self::Refuse(why) => write!(f, "refused: {why}"),
            Self::UseLocal(why) => write!(f, "goes to Local: {why}"),
        }
    }
}

/// Limits on the device's state, and what happens to cloud tasks beyond them.
///
/// A policy only decides. [`AdmissionControl`](crate::AdmissionControl) applies it, to single
/// tasks and, by [`admitted`](crate::AdmissionControl::admitted), to calls over several helpers.
/// [`Together`](crate::Together) and [`Fallback`](crate::Fallback) do not apply it by themselves.
///
/// A value that the device does not report holds no task back, unless the policy is
/// [`strict`](Self::strict): many phones deny half of the values, and there a strict policy stops
/// every task.
///
/// ```
/// use automation_assistant::device::{AdmissionPolicy, CloudAction, DeviceSnapshot};
///
/// let policy = AdmissionPolicy::new()
///     .min_battery_percent(20)
///     .min_available_memory_bytes(200 << 20)
///     .when_beyond(CloudAction::UseLocal);
/// println!("{}", policy.decide(&DeviceSnapshot::read()));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdmissionPolicy {
    min_battery_percent: Option<u8>,
    min_available_memory_bytes: Option<u64>,
    max_celsius: Option<f64>,
    max_battery_celsius: Option<f64>,
    action: CloudAction,
    strict: bool,
}

impl AdmissionPolicy {
    /// A policy without limits: it admits everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Least charge of the battery, 0 to 100, while the device is not at a charger. Defaults to
    /// none.
    #[must_use]
    pub fn min_battery_percent(mut self, percent: u8) -> Self {
        self.min_battery_percent = Some(percent);
        self
    }

    /// Least memory that must be available, in bytes. Defaults to none.
    #[must_use]
    pub fn min_available_memory_bytes(mut self, bytes: u64) -> Self {
        self.min_available_memory_bytes = Some(bytes);
        self
    }

    /// Highest temperature of any thermal zone, in degrees Celsius; processors throttle
    /// themselves between 80 and 100. NaN admits nothing. Defaults to none.
    #[must_use]
    pub fn max_temperature_celsius(mut self, celsius: f64) -> Self {
        self.max_celsius = Some(celsius.max(f64::NEG_INFINITY));
        self
    }

    /// Highest temperature of the battery, in degrees Celsius; it ages fast above 45.
    /// NaN admits nothing. Defaults to none.
    #[must_use]
    pub fn max_battery_temperature_celsius(mut self, celsius: f64) -> Self {
        self.max_battery_celsius = Some(celsius.max(f64::NEG_INFINITY));
        self
    }

    /// The action for a cloud task while the device is beyond a limit. Defaults to
    /// [`CloudAction::Wait`].
    #[must_use]
    pub fn when_beyond(mut self, action: CloudAction) -> Self {
        self.action = action;
        self
    }

    /// Whether a limit counts as exceeded where the device does not report the value. Defaults to
    /// `false`.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// The decision on a cloud task on a device in this state.
    pub fn decide(&self, snapshot: &DeviceSnapshot) -> Admission {
        match (self.pressure(snapshot), self.action) {
            (None, _) => Admission::Admit,
            (Some(why), CloudAction::Wait) => Admission::Wait(why),
            (Some(why), CloudAction::Refuse) => Admission::Refuse(why),
            (Some(why), CloudAction::UseLocal) => Admission::UseLocal(why),
        }
    }

    /// The first limit that the device is beyond: heat, then memory, then the battery. Values
    /// that are not reported come last.
    pub fn pressure(&self, snapshot: &DeviceSnapshot) -> Option<Pressure> {
        let checks = [
            self.check_temperature(snapshot),
            self.check_battery_temperature(snapshot),
            self.check_memory(snapshot),
            self.check_battery(snapshot),
        ];
        let (mut known, mut unknown) = (None, None);
        for pressure in checks.into_iter().flatten() {
            let slot = match pressure {
                Pressure::Unknown { .. } => &mut unknown,
                _ => &mut known,
            };
            slot.get_or_insert(pressure);
        }
        known.or(unknown)
    }

    fn unknown(&self, what: &'static str, why: Option<String>) -> Option<Pressure> {
        self.strict.then(|| Pressure::Unknown { what, why: why.unwrap_or_default() })
    }

    fn check_temperature(&self, snapshot: &DeviceSnapshot) -> Option<Pressure> {
        let max_celsius = self.max_celsius?;
        let Reading::Value(temperature) = &snapshot.temperature else {
            return self.unknown("temperature", snapshot.temperature.why_not());
        };
        let celsius = temperature.max_celsius;
        (celsius > max_celsius).then_some(Pressure::Temperature { celsius, max_celsius })
    }

    fn check_battery_temperature(&self, snapshot: &DeviceSnapshot) -> Option<Pressure> {
        let max_celsius = self.max_battery_celsius?;
        let celsius = snapshot.battery.value().and_then(|battery| battery.temperature_celsius);
        let Some(celsius) = celsius else {
            let why = snapshot.battery.why_not();
            let why = why.unwrap_or_else(|| "its sensor is not readable".to_owned());
            return self.unknown("battery temperature", Some(why));
        };
        (celsius > max_celsius).then_some(Pressure::BatteryTemperature { celsius, max_celsius })
    }

    fn check_memory(&self, snapshot: &DeviceSnapshot) -> Option<Pressure> {
        let min_bytes = self.min_available_memory_bytes?;
        let Reading::Value(memory) = &snapshot.memory else {
            return self.unknown("memory", snapshot.memory.why_not());
        };
        let available_bytes = memory.available_bytes;
        (available_bytes < min_bytes).then_some(Pressure::Memory { available_bytes, min_bytes })
    }

    fn check_battery(&self, snapshot: &DeviceSnapshot) -> Option<Pressure> {
        let min_percent = self.min_battery_percent?;
        let Reading::Value(battery) = &snapshot.battery else {
            return self.unknown("battery", snapshot.battery.why_not());
        };
        let percent = battery.percent;
        let low = percent < min_percent && !battery.on_external_power();
        low.then_some(Pressure::Battery { percent, min_percent })
    }
}
