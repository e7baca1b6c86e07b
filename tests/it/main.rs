//! One test binary: the library through its public face.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
