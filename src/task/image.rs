//! A picture of a request, and what one must be.

use std::fmt;
use std::sync::Arc;

/// Longest URL of a picture, in bytes: signed URLs of object stores have one or two thousand.
const URL_BYTES_MAX: usize = 8 << 10;

/// A picture of a request: its bytes, or the URL where the provider fetches it.
///
/// Clones share the bytes. Made by [`TaskRequest::image_bytes`](crate::TaskRequest::image_bytes)
/// and its like, read by a backend of your own through
/// [`TaskRequest::images`](crate::TaskRequest::images) and
/// [`Turn::images`](crate::Turn::images).
#[derive(Clone, PartialEq, Eq)]
pub struct Image(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    // Not `Arc<[u8]>`: making one of a vector copies the bytes.
    Bytes { media_type: Box<str>, bytes: Arc<Vec<u8>> },
    Url(Box<str>),
}

impl Image {
    pub(crate) fn of_bytes(media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        let media_type = media_type.into().into_boxed_str();
        Self(Source::Bytes { media_type, bytes: Arc::new(bytes) })
    }

    pub(super) fn of_url(url: impl Into<String>) -> Self {
        Self(Source::Url(url.into().into_boxed_str()))
    }

    /// The media type, such as `image/png`; nothing for a picture behind a URL.
    pub fn media_type(&self) -> Option<&str> {
        match &self.0 {
            Source::Bytes { media_type, .. } => Some(media_type),
            Source::Url(_) => None,
        }
    }

    /// The bytes of its file; nothing for a picture behind a URL.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.shared_bytes().map(|bytes| bytes.as_slice())
    }

    /// The URL, for a picture that the provider fetches.
    pub fn url(&self) -> Option<&str> {
        match &self.0 {
            Source::Bytes { .. } => None,
            Source::Url(url) => Some(url),
        }
    }

    pub(crate) fn shared_bytes(&self) -> Option<&Arc<Vec<u8>>> {
        match &self.0 {
            Source::Bytes { bytes, .. } => Some(bytes),
            Source::Url(_) => None,
        }
    }

    /// # Errors
    ///
    /// Why the picture cannot be accepted, and what to do, as the end of a sentence.
    pub(super) fn validate(&self, bytes_max: usize) -> Result<(), String> {
        match &self.0 {
            Source::Bytes { media_type, bytes } => {
                let length = bytes.len();
                let Some(found) = sniff(bytes) else {
                    return Err(
                        "is no PNG, JPEG, WebP or GIF by its first bytes: convert it".into()
                    );
                };
                if found != &**media_type {
                    return Err(format!("is {found} by its first bytes: pass that media type"));
                }
                if length > bytes_max {
                    return Err(format!(
                        "has {length} bytes, the helper takes {bytes_max}: scale it down, \
                         or raise max_image_bytes"
                    ));
                }
                Ok(())
            }
            Source::Url(url) => validate_url(url),
        }
    }
}

/// Lengths, never the bytes or the URL.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Image");
        match &self.0 {
            // The media type is the caller's text until it is checked.
            Source::Bytes { bytes, .. } => {
                out.field("media_type", &sniff(bytes)).field("bytes", &bytes.len())
            }
            Source::Url(url) => out.field("url_bytes", &url.len()),
        };
        out.finish()
    }
}

/// The media type that a picture's first bytes tell: PNG, JPEG, WebP or GIF.
pub(crate) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        // The four bytes between are the file's length.
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        _ => None,
    }
}

fn validate_url(url: &str) -> Result<(), String> {
    let rest = ["https://", "http://"].into_iter().find_map(|scheme| {
        let start = url.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
    });
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        return Err(
            "has no URL that begins with http:// or https:// and a host: pass such a one, \
                    or the picture's bytes"
                .into(),
        );
    }
    if url.len() > URL_BYTES_MAX {
        let length = url.len();
        return Err(format!("has a URL of {length} bytes: {URL_BYTES_MAX} are the most"));
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("has a URL with spaces or control characters: percent-encode them".into());
    }
    Ok(())
}
