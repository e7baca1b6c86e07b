//! An earlier turn of a conversation, its role, and the pictures of turns and prompts.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "http")]
use crate::splice::{Insert, Streamed, encoded_head, splice};
use crate::url::host_and_port;

/// Longest URL of a picture, in bytes: signed URLs of object stores have one or two thousand.
const URL_BYTES_MAX: usize = 8 << 10;

/// Most pictures of one request, those of its earlier turns included.
pub const MAX_IMAGES: usize = 16;

/// A helper's bounds on pictures, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageBounds {
    /// Each picture.
    pub(crate) each: usize,
    /// All pictures of queued tasks.
    pub(crate) queued: usize,
}

/// The pictures of a request, to be validated. (Passed by reference: arguments on the stack make
/// a program without pictures larger.)
pub(super) struct RequestImages<'a> {
    pub(super) turns: &'a [Turn],
    /// Those of the prompt.
    pub(super) own: &'a [Image],
    pub(super) bounds: ImageBounds,
}

/// The role of a message's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Instructions to the model.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The role's name in the OpenAI protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One earlier turn of a conversation, sent before the prompt.
///
/// ```
/// use automation_assistant::{TaskRequest, Turn};
///
/// let request = TaskRequest::new("And in winter?")
///     .turns([Turn::user("How warm is it in Oslo?"), Turn::assistant("In July, 22 degrees.")]);
/// assert_eq!(request.get_turns().len(), 2);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// The author's role.
    pub role: Role,
    /// The text.
    pub text: String,
    images: Vec<Image>,
}

impl Turn {
    pub(super) fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into(), images: Vec::new() }
    }

    /// A turn of the user. With pictures the text may be empty.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// A turn of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text)
    }

    /// Adds a picture to the turn; see
    /// [`TaskRequest::image_bytes`](crate::TaskRequest::image_bytes).
    #[must_use]
    pub fn image_bytes(self, media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.with_image(Image::of_bytes(media_type, bytes))
    }

    /// Adds a picture to the turn by its URL; see
    /// [`TaskRequest::image_url`](crate::TaskRequest::image_url).
    #[must_use]
    pub fn image_url(self, url: impl Into<String>) -> Self {
        self.with_image(Image::of_url(url))
    }

    pub(crate) fn with_image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// The turn's pictures. Only a turn of the [user](Role::User) may have any.
    pub fn images(&self) -> &[Image] {
        &self.images
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("role", &self.role)
            .field("bytes", &self.text.len())
            .field("images", &self.images)
            .finish()
    }
}

/// A picture of a request: its bytes, or the URL from which the provider fetches it.
///
/// Clones share the bytes. Created by
/// [`TaskRequest::image_bytes`](crate::TaskRequest::image_bytes) and similar setters, read by a
/// custom backend through [`TaskRequest::images`](crate::TaskRequest::images) and
/// [`Turn::images`](crate::Turn::images).
#[derive(Clone)]
pub struct Image(Arc<dyn Picture>);

/// A kind of picture. A trait object, so that a program that never creates one does not link its
/// code.
trait Picture: Send + Sync {
    /// # Errors
    ///
    /// Why the picture is rejected, and how to correct it, as the end of a sentence.
    fn validate(&self, bytes_max: usize) -> Result<(), String>;

    fn media_type(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> Option<&Arc<Vec<u8>>> {
        None
    }

    fn url(&self) -> Option<&str> {
        None
    }

    /// See [`validate`].
    fn validate_all(&self, images: &RequestImages<'_>) -> Result<usize, String> {
        let RequestImages { turns, own, bounds } = *images;
        if turns.iter().any(|turn| turn.role != Role::User && !turn.images.is_empty()) {
            return Err("a turn that is not the user's has a picture: models take pictures from \
                        the user alone, so put it into a turn of the user"
                .into());
        }
        let all = || turns.iter().flat_map(|turn| &turn.images).chain(own);
        let count = all().count();
        if count > MAX_IMAGES {
            return Err(format!(
                "the request has {count} pictures (earlier turns included), {MAX_IMAGES} are the \
                 most: leave some out"
            ));
        }
        (1..).zip(all()).try_for_each(|(number, image)| {
            let named = |why| format!("picture {number} of {count} {why}");
            image.0.validate(bounds.each).map_err(named)
        })?;
        let bytes: usize = all().filter_map(Image::bytes).map(<[u8]>::len).sum();
        let bytes_max = bounds.queued;
        if bytes > bytes_max {
            return Err(format!(
                "the pictures have {bytes} bytes together, the helper lets {bytes_max} wait: \
                 leave some out, or raise max_queued_image_bytes"
            ));
        }
        Ok(bytes)
    }

    /// See [`Image::reference`].
    #[cfg(feature = "http")]
    fn reference(&self) -> String;

    /// See [`Image::quotable`].
    #[cfg(feature = "http")]
    fn quotable(&self) -> String;

    /// See [`Image::splice`].
    #[cfg(feature = "http")]
    fn splice(&self, json: Vec<u8>, images: &[(usize, Image)]) -> Streamed {
        let insert =
            |(at, image): &(usize, Image)| image.0.bytes().map(|data| (*at, Arc::clone(data)));
        let inserts = images.iter().filter_map(insert).map(|(at, data)| Insert { at, data });
        splice(json, inserts.collect())
    }
}

/// The bytes of a file.
struct Bytes {
    media_type: Box<str>,
    // Not `Arc<[u8]>`: creating one from a vector copies the bytes.
    bytes: Arc<Vec<u8>>,
}

/// The URL from which the provider fetches it.
struct Url(Box<str>);

impl Image {
    pub(crate) fn of_bytes(media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        let media_type = media_type.into().into_boxed_str();
        Self(Arc::new(Bytes { media_type, bytes: Arc::new(bytes) }))
    }

    pub(super) fn of_url(url: impl Into<String>) -> Self {
        Self(Arc::new(Url(url.into().into_boxed_str())))
    }

    /// The media type, such as `image/png`; `None` for a picture behind a URL.
    pub fn media_type(&self) -> Option<&str> {
        self.0.media_type()
    }

    /// The bytes of its file; `None` for a picture behind a URL.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.bytes().map(|bytes| bytes.as_slice())
    }

    /// The URL, for a picture that the provider fetches.
    pub fn url(&self) -> Option<&str> {
        self.0.url()
    }

    /// Its URL, or the beginning of a data URL, without the data.
    #[cfg(feature = "http")]
    pub(crate) fn reference(&self) -> String {
        self.0.reference()
    }

    /// The part of the picture that a server's error message may quote: its URL, or the beginning
    /// of its bytes as base64.
    #[cfg(feature = "http")]
    pub(crate) fn quotable(&self) -> String {
        self.0.quotable()
    }

    /// The JSON of a request, with the bytes of these pictures inserted as base64, in order.
    #[cfg(feature = "http")]
    pub(crate) fn splice(&self, json: Vec<u8>, images: &[(usize, Self)]) -> Streamed {
        self.0.splice(json, images)
    }
}

impl Picture for Bytes {
    fn validate(&self, bytes_max: usize) -> Result<(), String> {
        let length = self.bytes.len();
        let Some(found) = sniff(&self.bytes) else {
            return Err("is no PNG, JPEG, WebP or GIF by its first bytes: convert it".into());
        };
        if found != &*self.media_type {
            return Err(format!("is {found} by its first bytes: pass that media type"));
        }
        if length > bytes_max {
            return Err(format!(
                "has {length} bytes, the helper takes {bytes_max}: scale it down, or raise \
                 max_image_bytes"
            ));
        }
        Ok(())
    }

    fn media_type(&self) -> Option<&str> {
        Some(&self.media_type)
    }

    fn bytes(&self) -> Option<&Arc<Vec<u8>>> {
        Some(&self.bytes)
    }

    #[cfg(feature = "http")]
    fn reference(&self) -> String {
        format!("data:{};base64,", self.media_type)
    }

    #[cfg(feature = "http")]
    fn quotable(&self) -> String {
        encoded_head(&self.bytes)
    }
}

impl Picture for Url {
    fn validate(&self, _: usize) -> Result<(), String> {
        let url = &*self.0;
        let rest = ["https://", "http://"].into_iter().find_map(|scheme| {
            let start = url.get(..scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
        });
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        if authority.and_then(host_and_port).is_none() {
            return Err(
                "has no URL that begins with http:// or https:// and a host (without user \
                        and password): pass such a one, or the picture's bytes"
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

    fn url(&self) -> Option<&str> {
        Some(&self.0)
    }

    #[cfg(feature = "http")]
    fn reference(&self) -> String {
        self.0.to_string()
    }

    #[cfg(feature = "http")]
    fn quotable(&self) -> String {
        self.reference()
    }
}

impl PartialEq for Image {
    fn eq(&self, other: &Self) -> bool {
        (self.media_type(), self.bytes(), self.url())
            == (other.media_type(), other.bytes(), other.url())
    }
}

impl Eq for Image {}

/// Shows lengths, never the bytes or the URL.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Image");
        match (self.bytes(), self.url()) {
            // From the bytes: the media type is the caller's text until it is validated.
            (Some(bytes), _) => out.field("media_type", &sniff(bytes)).field("bytes", &bytes.len()),
            (None, url) => out.field("url_bytes", &url.map_or(0, str::len)),
        };
        out.finish()
    }
}

/// The media type by a picture's first bytes: PNG, JPEG, WebP or GIF.
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

/// Validates all pictures of a request; returns the sum of their bytes.
///
/// # Errors
///
/// Which picture is rejected, why, and how to correct it.
pub(super) fn validate(images: &RequestImages<'_>) -> Result<usize, String> {
    let of_turns = || images.turns.iter().find_map(|turn| turn.images.first());
    match images.own.first().or_else(of_turns) {
        Some(any) => any.0.validate_all(images),
        None => Ok(0),
    }
}
