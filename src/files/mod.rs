//! Files that others may open, lock, replace or tear at the same time: opening without waiting,
//! the kernel's locks, ends without a newline. Independent of the files' content.

pub(crate) mod lock;
pub(crate) mod open;
pub(crate) mod tail;
