//! An earlier turn of a conversation, and who said it.

use std::fmt;

use super::image::Image;

/// Who said something in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Instructions to the model.
    System,
    /// The person, or the program in its place.
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
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub text: String,
    pub(super) images: Vec<Image>,
}

impl Turn {
    pub(super) fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into(), images: Vec::new() }
    }

    /// What the person said, or the program in its place. With pictures the text may be empty.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// What the model answered.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text)
    }

    /// Adds a picture to the turn; see
    /// [`TaskRequest::image_bytes`](crate::TaskRequest::image_bytes).
    #[must_use]
    pub fn image_bytes(self, media_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.with_image(Image::of_bytes(media_type, bytes))
    }

    /// Adds a picture to the turn that the provider fetches; see
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
