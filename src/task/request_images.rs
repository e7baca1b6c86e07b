//! The pictures of a request.

use super::request::TaskRequest;
use super::turn::Image;

impl TaskRequest {
    /// Adds a picture to the prompt: the bytes of a PNG, JPEG, WebP or GIF file, and its media
    /// type (`image/png`, `image/jpeg`, `image/webp`, `image/gif`), which must match the bytes.
    ///
    /// A request has at most [`MAX_IMAGES`](crate::MAX_IMAGES) pictures, each of at most the helper's
    /// [`max_image_bytes`](crate::HelperConfig::max_image_bytes). They are checked when the
    /// request is submitted, and dropped when its task ends: a finished [`Task`](crate::Task)
    /// holds none, so they do not count towards
    /// [`max_result_bytes`](crate::HelperConfig::max_result_bytes). A backend that takes no
    /// pictures (the embedded engine) ends the task as
    /// [`Unsupported`](crate::ErrorKind::Unsupported); a model that cannot see is the
    /// server's error.
    #[doc(alias("vision", "image", "multimodal"))]
    #[must_use]
    pub fn image_bytes(self, media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.with_image(Image::of_bytes(media_type, bytes))
    }

    /// Adds a picture to the prompt by its URL, from which the provider fetches it: `http` or
    /// `https`, at most 8 KiB. The library never fetches it.
    #[must_use]
    pub fn image_url(self, url: impl Into<String>) -> Self {
        self.with_image(Image::of_url(url))
    }

    pub(crate) fn with_image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// How many pictures there are, those of earlier turns included.
    pub(crate) fn image_count(&self) -> usize {
        self.images.len() + self.turns.iter().map(|turn| turn.images().len()).sum::<usize>()
    }
}
