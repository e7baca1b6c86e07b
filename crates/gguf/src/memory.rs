//! Whether the device has the memory.

use automation_assistant::DeviceReader;

/// Whether so many bytes are available; where the device does not report it, they are taken to be.
///
/// # Errors
///
/// The bytes that are needed, and those available.
pub(crate) fn admit(needed_bytes: u64) -> Result<(), (u64, u64)> {
    let memory = DeviceReader::new().memory();
    match memory.value().map(|memory| memory.available_bytes) {
        Some(available) if available < needed_bytes => Err((needed_bytes, available)),
        _ => Ok(()),
    }
}
