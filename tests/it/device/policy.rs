//! Limits on the device's state: admission, and the profiles that set limits.

use std::time::Duration;

use automation_assistant::{
    Admission, AdmissionPolicy, CloudAction, DeviceProfile, DeviceSnapshot, HelperConfig, Pressure,
    Reading,
};

use super::recorded;

fn percent_and_temperature(percent: u8, plugged: bool, celsius: f64) -> DeviceSnapshot {
    let mut device = recorded("linux_box").read();
    let Reading::Value(battery) = &mut device.battery else { panic!("a battery") };
    battery.percent = percent;
    battery.plugged = Some(plugged);
    let Reading::Value(temperature) = &mut device.temperature else { panic!("zones") };
    temperature.max_celsius = celsius;
    device
}

#[test]
fn cloud_tasks_are_held_back_beyond_a_limit_as_configured() {
    let policy = AdmissionPolicy::new().min_battery_percent(20).max_temperature_celsius(80.0);
    assert_eq!(policy.decide(&percent_and_temperature(20, false, 80.0)), Admission::Admit);
    let low = Pressure::Battery { percent: 19, min_percent: 20 };
    let device = percent_and_temperature(19, false, 50.0);
    assert_eq!(policy.decide(&device), Admission::Wait(low.clone()));
    let refuse = policy.clone().when_beyond(CloudAction::Refuse);
    assert_eq!(refuse.decide(&device), Admission::Refuse(low.clone()));
    let local = policy.clone().when_beyond(CloudAction::UseLocal).decide(&device);
    assert_eq!(local, Admission::UseLocal(low));
    let text = "goes to Local: the battery is at 19 %, below the limit of 20 %";
    assert_eq!((local.to_string().as_str(), local.as_str()), (text, "use_local"));
    assert!(policy.decide(&percent_and_temperature(19, true, 50.0)).is_admitted());
    // Heat is reported before the battery.
    let hot = policy.decide(&percent_and_temperature(5, false, 91.5));
    assert_eq!(hot.pressure().unwrap().as_str(), "temperature");
    let memory = AdmissionPolicy::new().min_available_memory_bytes(2 << 30);
    let printed = memory.decide(&recorded("phone_denied").read()).to_string();
    assert_eq!(printed, "waits: 1.0 GiB of memory are available, below the limit of 2.0 GiB");
    let battery = AdmissionPolicy::new().max_battery_temperature_celsius(30.0);
    assert_eq!(
        battery.pressure(&recorded("linux_box").read()),
        Some(Pressure::BatteryTemperature { celsius: 31.2, max_celsius: 30.0 })
    );
}

#[test]
fn a_limit_that_is_no_number_admits_nothing() {
    let none = AdmissionPolicy::new();
    let device = recorded("linux_box").read();
    for policy in [
        none.clone().max_temperature_celsius(f64::NAN),
        none.clone().max_battery_temperature_celsius(f64::NAN),
    ] {
        assert!(!policy.decide(&device).is_admitted(), "{policy:?}");
    }
    assert!(none.max_temperature_celsius(f64::INFINITY).decide(&device).is_admitted());
}

#[test]
fn a_missing_reading_admits_unless_strict() {
    let device = recorded("phone_denied").read();
    let policy = DeviceProfile::galaxy_a16().admission();
    assert_eq!(policy.decide(&device), Admission::Admit);
    let strict = policy.strict(true).decide(&device);
    let Admission::Wait(Pressure::Unknown { what: "temperature", why }) = &strict else {
        panic!("{strict:?}")
    };
    assert!(why.contains("/sys/class/thermal"), "{why}");
    // Known values precede unknown ones.
    let both = AdmissionPolicy::new().strict(true).max_temperature_celsius(80.0);
    let both = both.min_available_memory_bytes(u64::MAX).pressure(&device);
    assert_eq!(both.unwrap().as_str(), "memory");
    assert!(AdmissionPolicy::new().strict(true).decide(&device).is_admitted());
}

#[test]
fn profiles_follow_memory_and_cores() {
    let named = |cores, gib: u64| DeviceProfile::for_device(cores, Some(gib << 30));
    assert_eq!(named(4, 1).name(), "small");
    assert_eq!(named(8, 4).name(), "phone");
    assert_eq!(named(8, 16).name(), "desktop");
    assert_eq!(DeviceProfile::for_device(8, None).name(), "phone");
    assert_eq!(named(1, 16).max_helpers(), 2);
    assert_eq!(named(0, 0).max_helpers(), 2);
    let here = DeviceProfile::detect();
    assert!(here.cores() >= 1 && here.max_helpers() >= 1 && here.memory_bytes() != Some(0));
    let a16 = DeviceProfile::galaxy_a16();
    assert_eq!((a16.name(), a16.cores()), ("galaxy_a16", 8));
    let text = a16.to_string();
    assert!(text.starts_with("galaxy_a16: 4 helpers of 2 threads, 64 tasks waiting"), "{text}");
}

#[test]
fn a_profile_leaves_alone_what_the_user_set() {
    let profile = DeviceProfile::galaxy_a16();
    let set = format!("{:?}", profile.apply(HelperConfig::local()));
    let field = |name: &str, value: usize| format!("{name}: {value}");
    assert!(set.contains(&field("queue_capacity", 64)), "{set}");
    assert!(set.contains(&field("max_concurrent_tasks", 2)), "{set}");
    // A model server decodes one answer at a time.
    let server = HelperConfig::local().api_endpoint("http://127.0.0.1:8080/v1");
    for profile in [DeviceProfile::galaxy_a16(), DeviceProfile::desktop()] {
        let server = format!("{:?}", profile.apply(server.clone()));
        assert!(server.contains(&field("max_concurrent_tasks", 1)), "{server}");
        let cloud = format!("{:?}", profile.apply(HelperConfig::chatgpt()));
        let threads = profile.threads_per_helper();
        assert!(cloud.contains(&field("max_concurrent_tasks", threads)), "{cloud}");
    }
    let asked = format!("{:?}", profile.apply(server.max_concurrent_tasks(3)));
    assert!(asked.contains(&field("max_concurrent_tasks", 3)), "{asked}");
    assert!(set.contains(&field("max_results", 128)), "{set}");
    let own =
        HelperConfig::local().queue_capacity(7).max_results(9).timeout(Duration::from_secs(5));
    let kept = format!("{:?}", profile.apply(own));
    assert!(kept.contains(&field("queue_capacity", 7)), "{kept}");
    assert!(kept.contains(&field("max_results", 9)), "{kept}");
    assert!(kept.contains("5s") && !kept.contains("60s"), "{kept}");
}
