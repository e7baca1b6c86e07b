//! Which helper the current thread belongs to.

use std::cell::Cell;

use crate::id::HelperId;
use crate::sync::thread_local;

thread_local! {
    /// The helper that owns the current thread, if any: such a thread never waits for helpers to
    /// end.
    static HELPER: Cell<Option<HelperId>> = const { Cell::new(None) };
}

/// The current thread is this helper's from here on.
pub(super) fn enter(helper: HelperId) {
    HELPER.with(|own| own.set(Some(helper)));
}

/// Whether the current thread is a helper's.
pub(super) fn is_of_any() -> bool {
    HELPER.with(Cell::get).is_some()
}

/// Whether the current thread is one of this helper's.
pub(super) fn is_of(helper: HelperId) -> bool {
    HELPER.with(Cell::get) == Some(helper)
}
