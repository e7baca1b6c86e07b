//! Comet's Opik: its address, its key, and the configuration file of its own clients. Shared by
//! the gateway's helpers and the trace sink.

mod file;

pub(crate) use file::{NAMES_AN_OPIK, OpikFile};

use crate::lenient::{Label, lenient, read};

pub(crate) const DEFAULT_BASE: &str = "https://www.comet.com/opik/api";
pub(crate) const KEY_VARIABLE: &str = "OPIK_API_KEY";
pub(crate) const BASE_VARIABLE: &str = "OPIK_URL_OVERRIDE";
pub(crate) const WORKSPACE_VARIABLE: &str = "OPIK_WORKSPACE";
/// The workspace if none is set, as in Opik's own clients. Comet's cloud answers 403 to a request
/// without one.
pub(crate) const DEFAULT_WORKSPACE: &str = "default";
/// The path of the API at the address in a key.
const KEY_BASE_TAIL: &str = "/opik/api";
/// The cloud's domain. Everything else is self-hosted, where no key is needed.
const CLOUD_DOMAIN: &str = "comet.com";
/// Longest part of a key after its asterisk that is decoded.
const KEY_TAIL_BYTES_MAX: usize = 4 << 10;

/// Whether this is Comet's own service, which always needs a key.
pub(crate) fn is_cloud(host: &str) -> bool {
    host == CLOUD_DOMAIN || host.strip_suffix(CLOUD_DOMAIN).is_some_and(|rest| rest.ends_with('.'))
}

lenient! {
    /// The content of a key after its asterisk.
    KeyTail { base_url: Label = "baseUrl" }
}

/// The API's address in a key of the form `<key>*<base64 of {"baseUrl": …}>`.
pub(crate) fn base_of_key(key: &str) -> Option<String> {
    let (_, tail) = key.split_once('*')?;
    if tail.len() > KEY_TAIL_BYTES_MAX {
        return None;
    }
    let tail: KeyTail = read(&String::from_utf8(decode(tail)?).ok()?).ok()?.value;
    let base = tail.base_url.0?;
    Some(format!("{}{KEY_BASE_TAIL}", base.trim_end_matches('/')))
}

/// Decodes base64 in either alphabet, with or without padding. (By hand: the crate that
/// encodes takes 5.2 KB more for this, in each program with a Comet helper.)
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_carry_its_server() {
        // {"baseUrl":"https://opik.example/"}
        let key = "abc*eyJiYXNlVXJsIjoiaHR0cHM6Ly9vcGlrLmV4YW1wbGUvIn0=";
        assert_eq!(base_of_key(key).as_deref(), Some("https://opik.example/opik/api"));
        assert_eq!(base_of_key(key.trim_end_matches('=')), base_of_key(key));
        assert_eq!(base_of_key("abc"), None);
        assert_eq!(base_of_key("abc*!!"), None);
    }

    #[test]
    fn both_alphabets_are_read() {
        assert_eq!(decode("-_8="), decode("+/8"));
        assert_eq!(decode("-_8=").as_deref(), Some(&[0xfb, 0xff][..]));
    }
}
