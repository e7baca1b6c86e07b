//! The pictures of a request, and the rules for them all.

use super::image::Image;
use super::request::TaskRequest;
use super::turn::{Role, Turn};

/// Most pictures of one request, those of its earlier turns included.
pub const MAX_IMAGES: usize = 16;

impl TaskRequest {
    /// Adds a picture to the prompt: the bytes of a PNG, JPEG, WebP or GIF file, and its media
    /// type (`image/png`, `image/jpeg`, `image/webp`, `image/gif`), which must fit the bytes.
    ///
    /// A request has at most [`MAX_IMAGES`] pictures, each of at most the helper's
    /// [`max_image_bytes`](crate::HelperConfig::max_image_bytes). They are checked when the
    /// request is submitted, and dropped when its task ends: a finished [`Task`](crate::Task)
    /// holds none, so they do not count towards
    /// [`max_result_bytes`](crate::HelperConfig::max_result_bytes). A backend that takes no
    /// pictures (the embedded engine) ends the task as
    /// [`Unsupported`](crate::ErrorKind::Unsupported); a model that cannot see is the
    /// server's error.
    #[must_use]
    pub fn image_bytes(self, media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.with_image(Image::of_bytes(media_type, bytes))
    }

    /// Adds a picture to the prompt that the provider fetches from this URL: `http` or `https`,
    /// at most 8 KiB. The library passes it on and never fetches it.
    #[must_use]
    pub fn image_url(self, url: impl Into<String>) -> Self {
        self.with_image(Image::of_url(url))
    }

    pub(crate) fn with_image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }
}

/// Checks all pictures of a request.
///
/// # Errors
///
/// Which picture cannot be accepted, why, and what to do.
pub(super) fn validate(turns: &[Turn], own: &[Image], bytes_max: usize) -> Result<(), String> {
    if turns.iter().any(|turn| turn.role != Role::User && !turn.images.is_empty()) {
        return Err("a turn that is not the user's has a picture: models take pictures from the \
                    user alone, so put it into a turn of the user"
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
    for (number, image) in (1..).zip(all()) {
        image.validate(bytes_max).map_err(|why| format!("picture {number} of {count} {why}"))?;
    }
    Ok(())
}
