//! Why a reading is missing, in words for the user of a program.

use automation_assistant::device::{Battery, Reading};

/// The option by which these programs may run commands of Termux:API.
pub(crate) const TERMUX_OPTION: &str = "--termux";

/// Whether this is Termux on Android.
pub(crate) fn on_a_phone() -> bool {
    std::env::var_os("TERMUX_VERSION").is_some() || cfg!(target_os = "android")
}

/// Why the battery's charge is unknown, and what to do about it.
pub(crate) fn battery_why_not(battery: &Reading<Battery>, termux: bool) -> Option<String> {
    let why = battery.why_not()?;
    // The library names the setting that the option sets.
    let (files, _) = why.split_once("; in Termux").unwrap_or((&why, ""));
    Some(match on_a_phone() && !termux {
        true => format!("{files}; run with {TERMUX_OPTION} to ask Termux:API"),
        false if termux => why,
        false => files.to_owned(),
    })
}
