//! Pictures from files. (Not in `task`, which uses no files and no [`Error`].)

use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;
use crate::files::open::{Kinds, to_read};
use crate::task::{Image, TaskRequest, Turn, sniff_image};

/// Largest file that is read as a picture, in bytes (32 MiB); a helper accepts less unless
/// [`max_image_bytes`](crate::HelperConfig::max_image_bytes) is raised.
pub const MAX_IMAGE_FILE_BYTES: u64 = 32 << 20;

/// Reads a picture; `None` if the file is too large.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = to_read(path, Kinds::Plain)?;
    let length = file.metadata()?.len();
    if length > MAX_IMAGE_FILE_BYTES {
        return Ok(None);
    }
    // One byte more than allowed shows that the file has grown meanwhile.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(MAX_IMAGE_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_IMAGE_FILE_BYTES))
}

fn image(path: &Path) -> Result<Image, Error> {
    let shown = path.display();
    let bytes = read(path).map_err(Error::io(format!("reading the picture {shown}")))?;
    let Some(bytes) = bytes else {
        let why = format!(
            "the picture {shown} has more than {MAX_IMAGE_FILE_BYTES} bytes: scale it down"
        );
        return Err(Error::InvalidRequest(why));
    };
    match sniff_image(&bytes) {
        Some(media_type) => Ok(Image::of_bytes(media_type, bytes)),
        None => Err(Error::InvalidRequest(format!(
            "the file {shown} is no PNG, JPEG, WebP or GIF by its first bytes: convert it"
        ))),
    }
}

impl TaskRequest {
    /// Adds a picture to the prompt: a PNG, JPEG, WebP or GIF file of at most
    /// [`MAX_IMAGE_FILE_BYTES`], which this call reads; its first bytes determine its media type.
    /// The rules of [`image_bytes`](Self::image_bytes) apply.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read or is not a regular file; [`Error::InvalidRequest`] if
    /// it is too large or not a picture.
    pub fn image_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        image(path.as_ref()).map(|image| self.with_image(image))
    }
}

impl Turn {
    /// Adds a picture to the turn; see [`TaskRequest::image_file`].
    ///
    /// # Errors
    ///
    /// As [`TaskRequest::image_file`].
    pub fn image_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        image(path.as_ref()).map(|image| self.with_image(image))
    }
}
