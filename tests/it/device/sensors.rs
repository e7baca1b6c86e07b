//! Sensors that are off, not connected, or hold something else than a temperature.

use std::fs;
use std::path::Path;

use automation_assistant::{Admission, AdmissionPolicy, DeviceReader};

use super::{Folder, recorded, why};

/// Writes files below a folder.
fn put(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// A device with these zones, each a name and what its `temp` holds.
fn zones(folder: &Folder, zones: &[(&str, &str)]) -> DeviceReader {
    let thermal = folder.0.join("sys/class/thermal");
    let _ = fs::remove_dir_all(&thermal);
    for (at, (name, temp)) in zones.iter().enumerate() {
        put(&thermal.join(format!("thermal_zone{at}")), &[("type", name), ("temp", temp)]);
    }
    DeviceReader::new().root(&folder.0)
}

#[test]
fn zones_of_a_recorded_device_that_read_sane_count() {
    let temperature = recorded("linux_box").temperature().into_value().unwrap();
    let zones: Vec<_> = temperature.zones.iter().map(|z| (z.name.as_str(), z.celsius)).collect();
    let sane = [("x86_pkg_temp", 51.0), ("degrees", 44.0), ("tenths", 39.1), ("acpitz", 27.8)];
    assert_eq!(zones, sane);
    assert_eq!(temperature.max_celsius, 51.0);
}

#[test]
fn a_zone_that_is_parked_at_a_value_does_not_count() {
    let folder = Folder::new("parked");
    for (raw, celsius) in [
        // MediaTek's sensors that are not connected, in thousandths.
        ("125000", None),
        ("25000", None),
        ("-40000", None),
        ("0", None),
        // The same values in tenths and in whole degrees, and what lies beyond.
        ("1250", None),
        ("125", None),
        ("-400", None),
        ("-40", None),
        ("127000", None),
        ("150000", None),
        ("-127000", None),
        ("-274000", None),
        ("4294967", None),
        // Values next to parked ones are readings.
        ("124999", Some(124.999)),
        ("25001", Some(25.001)),
        ("24000", Some(24.0)),
        ("25", Some(25.0)),
        ("250", Some(25.0)),
        ("-39900", Some(-39.9)),
        ("85000", Some(85.0)),
    ] {
        let alone = zones(&folder, &[("mtkts_bts1", raw)]).temperature();
        match celsius {
            None => assert!(why(&alone).contains("no zone that reads sane"), "{raw}: {alone:?}"),
            Some(celsius) => assert_eq!(alone.value().unwrap().max_celsius, celsius, "{raw}"),
        }
        // Beside a working sensor the other zone changes nothing, or joins it.
        let both = zones(&folder, &[("mtktscpu", "41000"), ("mtkts_bts1", raw)]).temperature();
        assert_eq!(both.value().unwrap().zones.len(), 1 + usize::from(celsius.is_some()), "{raw}");
    }
}

#[test]
fn a_parked_zone_holds_no_task_back() {
    let folder = Folder::new("parked-limit");
    let device = zones(&folder, &[("mtktscpu", "0"), ("mtkts_bts1", "125000")]).read();
    let policy = AdmissionPolicy::new().max_temperature_celsius(80.0);
    assert_eq!(policy.decide(&device), Admission::Admit);
}

#[test]
fn a_battery_at_zero_degrees_is_cold_only_if_its_health_is_known() {
    let folder = Folder::new("cold-battery");
    let supply = folder.0.join("sys/class/power_supply/battery");
    for (temp, health, celsius) in [
        ("0", Some("Unknown"), None),
        ("0", Some("UNKNOWN"), None),
        ("0", None, None),
        ("0", Some("Good"), Some(0.0)),
        ("0", Some("Cold"), Some(0.0)),
        ("-5", Some("Unknown"), Some(-0.5)),
        ("312", Some("Unknown"), Some(31.2)),
        ("312", None, Some(31.2)),
        ("-400", Some("Good"), None),
        ("1250", Some("Good"), None),
    ] {
        let _ = fs::remove_dir_all(&supply);
        put(&supply, &[("type", "Battery"), ("capacity", "71"), ("temp", temp)]);
        if let Some(health) = health {
            put(&supply, &[("health", health)]);
        }
        let battery = DeviceReader::new().root(&folder.0).battery();
        let battery = battery.value().unwrap();
        assert_eq!(battery.temperature_celsius, celsius, "{temp}, {health:?}");
        assert_eq!(battery.percent, 71);
    }
}
