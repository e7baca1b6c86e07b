//! Names and signatures of 0.1: the device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automation_assistant::{
    Admission, AdmissionPolicy, Battery, BatterySource, ClockGap, ClockReading, ClockSource,
    CloudAction, DeviceProfile, DeviceReader, DeviceSnapshot, DeviceWatch, HelperConfig, Load,
    Memory, Network, Pressure, ProcessMemory, Reading, Storage, SuspendWatch, Temperature,
    ThermalZone, Tool, Wifi,
};
use serde_json::{Map, Value};

const _: () = {
    let _: fn(&Admission) -> bool = Admission::is_admitted;
    let _: fn(&Admission) -> Option<&Pressure> = Admission::pressure;
    let _: fn(&Admission) -> &'static str = Admission::as_str;
    let _: fn() -> AdmissionPolicy = AdmissionPolicy::new;
    let _: fn(AdmissionPolicy, u8) -> AdmissionPolicy = AdmissionPolicy::min_battery_percent;
    let _: fn(AdmissionPolicy, u64) -> AdmissionPolicy =
        AdmissionPolicy::min_available_memory_bytes;
    let _: fn(AdmissionPolicy, f64) -> AdmissionPolicy = AdmissionPolicy::max_temperature_celsius;
    let _: fn(AdmissionPolicy, f64) -> AdmissionPolicy =
        AdmissionPolicy::max_battery_temperature_celsius;
    let _: fn(AdmissionPolicy, CloudAction) -> AdmissionPolicy = AdmissionPolicy::when_beyond;
    let _: fn(AdmissionPolicy, bool) -> AdmissionPolicy = AdmissionPolicy::strict;
    let _: fn(&AdmissionPolicy, &DeviceSnapshot) -> Admission = AdmissionPolicy::decide;
    let _: fn(&AdmissionPolicy, &DeviceSnapshot) -> Option<Pressure> = AdmissionPolicy::pressure;
    let _: fn(&Battery) -> bool = Battery::on_external_power;
    let _: fn(BatterySource) -> &'static str = BatterySource::as_str;
    let _: fn(&ClockGap) -> Duration = ClockGap::awake;
    let _: fn(&ClockGap) -> Duration = ClockGap::suspended;
    let _: fn(&ClockGap) -> Duration = ClockGap::elapsed;
    let _: fn(&ClockGap) -> ClockSource = ClockGap::source;
    let _: fn(&ClockGap) -> bool = ClockGap::is_exact;
    let _: fn() -> ClockReading = ClockReading::now;
    let _: fn(Instant, Duration, ClockSource) -> ClockReading = ClockReading::new;
    let _: fn(&ClockReading) -> ClockSource = ClockReading::source;
    let _: fn(&ClockReading, &ClockReading) -> ClockGap = ClockReading::since;
    let _: fn(ClockSource) -> &'static str = ClockSource::as_str;
    let _: fn(ClockSource) -> bool = ClockSource::is_exact;
    let _: fn() -> DeviceProfile = DeviceProfile::detect;
    let _: fn(usize, Option<u64>) -> DeviceProfile = DeviceProfile::for_device;
    let _: fn() -> DeviceProfile = DeviceProfile::galaxy_a16;
    let _: fn() -> DeviceProfile = DeviceProfile::small;
    let _: fn() -> DeviceProfile = DeviceProfile::desktop;
    let _: fn(&DeviceProfile) -> &'static str = DeviceProfile::name;
    let _: fn(&DeviceProfile) -> usize = DeviceProfile::cores;
    let _: fn(&DeviceProfile) -> Option<u64> = DeviceProfile::memory_bytes;
    let _: fn(&DeviceProfile) -> usize = DeviceProfile::max_helpers;
    let _: fn(&DeviceProfile) -> usize = DeviceProfile::threads_per_helper;
    let _: fn(&DeviceProfile) -> usize = DeviceProfile::queue_capacity;
    let _: fn(&DeviceProfile) -> usize = DeviceProfile::max_results;
    let _: fn(&DeviceProfile) -> usize = DeviceProfile::max_result_bytes;
    let _: fn(&DeviceProfile) -> Duration = DeviceProfile::timeout;
    let _: fn(&DeviceProfile) -> usize = DeviceProfile::stack_bytes;
    let _: fn(&DeviceProfile, HelperConfig) -> HelperConfig = DeviceProfile::apply;
    let _: fn(&DeviceProfile) -> AdmissionPolicy = DeviceProfile::admission;
    let _: fn(&DeviceReader) -> Vec<Arc<dyn Tool>> = DeviceReader::acting_tools;
    let _: fn() -> DeviceReader = DeviceReader::new;
    let _: fn(DeviceReader, &'static str) -> DeviceReader = DeviceReader::root;
    let _: fn(DeviceReader, &'static str) -> DeviceReader = DeviceReader::storage_path;
    let _: fn(DeviceReader, Duration) -> DeviceReader = DeviceReader::probe_limit;
    let _: fn(DeviceReader, bool) -> DeviceReader = DeviceReader::termux;
    let _: fn(DeviceReader, bool) -> DeviceReader = DeviceReader::termux_wifi;
    let _: fn(DeviceReader, &'static str) -> DeviceReader = DeviceReader::termux_path;
    let _: fn(&DeviceReader) -> DeviceSnapshot = DeviceReader::read;
    let _: fn(&DeviceReader) -> Reading<usize> = DeviceReader::cores;
    let _: fn(&DeviceReader) -> Reading<Memory> = DeviceReader::memory;
    let _: fn(&DeviceReader) -> Reading<ProcessMemory> = DeviceReader::process;
    let _: fn(&DeviceReader) -> Reading<Storage> = DeviceReader::storage;
    let _: fn(&DeviceReader) -> Reading<Load> = DeviceReader::load;
    let _: fn(&DeviceReader) -> Reading<Duration> = DeviceReader::uptime;
    let _: fn(&DeviceReader) -> Reading<Temperature> = DeviceReader::temperature;
    let _: fn(&DeviceReader) -> Reading<Battery> = DeviceReader::battery;
    let _: fn(&DeviceReader) -> Reading<Network> = DeviceReader::network;
    let _: fn(&DeviceReader) -> Reading<Wifi> = DeviceReader::wifi;
    let _: fn(&DeviceReader) -> Vec<Arc<dyn Tool>> = DeviceReader::tools;
    let _: fn() -> DeviceSnapshot = DeviceSnapshot::read;
    let _: fn() -> DeviceReader = DeviceSnapshot::builder;
    let _: fn(&DeviceSnapshot) -> Option<f64> = DeviceSnapshot::hottest_celsius;
    let _: fn(&DeviceSnapshot) -> Vec<(&'static str, String)> = DeviceSnapshot::unavailable;
    let _: fn(&DeviceSnapshot) -> Map<String, Value> = DeviceSnapshot::to_context;
    let _: fn(DeviceReader) -> DeviceWatch = DeviceWatch::new;
    let _: fn(DeviceWatch, Duration) -> DeviceWatch = DeviceWatch::max_age;
    let _: fn(&DeviceWatch) -> Arc<DeviceSnapshot> = DeviceWatch::snapshot;
    let _: fn(&DeviceWatch) -> &DeviceReader = DeviceWatch::reader;
    let _: fn(&Memory) -> u64 = Memory::usable_bytes;
    let _: fn(&Pressure) -> &'static str = Pressure::as_str;
    let _: fn(&Reading<u32>) -> Option<&u32> = Reading::value;
    let _: fn(Reading<u32>) -> Option<u32> = Reading::into_value;
    let _: fn(&Reading<u32>) -> bool = Reading::is_value;
    let _: fn(&Reading<u32>) -> Option<String> = Reading::why_not;
    let _: fn(Reading<u32>, fn(u32) -> u32) -> Reading<u32> = Reading::map;
    let _: fn() -> SuspendWatch = SuspendWatch::new;
    let _: fn(ClockReading) -> SuspendWatch = SuspendWatch::starting_at;
    let _: fn(&mut SuspendWatch) -> Option<ClockGap> = SuspendWatch::check;
    let _: fn(&mut SuspendWatch, ClockReading) -> Option<ClockGap> = SuspendWatch::observe;
    let _: fn(&SuspendWatch) -> Duration = SuspendWatch::total_suspended;
    let _ = |x: &Admission| {
        matches!(
            x,
            Admission::Admit | Admission::Wait(_) | Admission::Refuse(_) | Admission::UseLocal(_)
        )
    };
    let _ = |x: &Battery| {
        let _ = (&x.percent, &x.charging, &x.plugged, &x.temperature_celsius, &x.source);
    };
    let _ = |x: &BatterySource| matches!(x, BatterySource::Sysfs | BatterySource::Termux);
    let _ = |x: &ClockSource| {
        matches!(x, ClockSource::BootClock | ClockSource::ProcUptime | ClockSource::WallClock)
    };
    let _ = |x: &CloudAction| {
        matches!(x, CloudAction::Wait | CloudAction::Refuse | CloudAction::UseLocal)
    };
    let _ = |x: &DeviceSnapshot| {
        let _ = (
            &x.taken_at,
            &x.cores,
            &x.memory,
            &x.process,
            &x.storage,
            &x.load,
            &x.uptime,
            &x.temperature,
            &x.battery,
            &x.network,
            &x.wifi,
        );
    };
    let _ = |x: &Load| {
        let _ = (&x.one_minute, &x.five_minutes, &x.fifteen_minutes);
    };
    let _ = |x: &Memory| {
        let _ = (
            &x.total_bytes,
            &x.available_bytes,
            &x.swap_total_bytes,
            &x.swap_free_bytes,
            &x.limit_bytes,
        );
    };
    let _ = |x: &Network| {
        let _ = (&x.has_route, &x.interfaces_up);
    };
    let _ = |x: &Pressure| {
        matches!(
            x,
            Pressure::Battery { percent: _, min_percent: _, .. }
                | Pressure::Memory { available_bytes: _, min_bytes: _, .. }
                | Pressure::Temperature { celsius: _, max_celsius: _, .. }
                | Pressure::BatteryTemperature { celsius: _, max_celsius: _, .. }
                | Pressure::Unknown { what: _, why: _, .. }
        )
    };
    let _ = |x: &ProcessMemory| {
        let _ = (&x.resident_bytes, &x.proportional_bytes, &x.threads, &x.open_files);
    };
    let _ = |x: &Reading<u32>| {
        matches!(x, Reading::Value(_) | Reading::Unavailable(_) | Reading::TimedOut(_))
    };
    let _ = |x: &Storage| {
        let _ = (&x.total_bytes, &x.available_bytes);
    };
    let _ = |x: &Temperature| {
        let _ = (&x.max_celsius, &x.zones);
    };
    let _ = |x: &ThermalZone| {
        let _ = (&x.name, &x.celsius);
    };
    let _ = |x: &Wifi| {
        let _ = (&x.connected, &x.signal_dbm, &x.link_speed_mbps, &x.frequency_mhz);
    };
};
