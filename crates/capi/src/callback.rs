//! Callbacks from C: a function, and a pointer of the program's for it.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

/// Called once when nothing that it was given with is called any more: the place to free
/// `userdata`.
#[allow(non_camel_case_types)]
pub type aa_release_callback = Option<unsafe extern "C" fn(userdata: *mut c_void)>;

/// A pointer of the program's, handed back to its own functions.
#[derive(Clone, Copy)]
pub(crate) struct Userdata(pub(crate) *mut c_void);

// SAFETY: this crate never dereferences the pointer. The program's functions do, and the header
// states that they are called on threads of the library, several at once for a backend or a tool.
unsafe impl Send for Userdata {}
// SAFETY: the same.
unsafe impl Sync for Userdata {}

impl Userdata {
    /// The pointer. (A closure that uses the field alone would capture a bare pointer.)
    pub(crate) fn get(&self) -> *mut c_void {
        self.0
    }
}

/// Calls the program's release function once its last clone is gone.
#[derive(Clone, Default)]
pub(crate) struct Release(Arc<OnDrop>);

#[derive(Default)]
struct OnDrop(Mutex<Option<(unsafe extern "C" fn(*mut c_void), Userdata)>>);

impl Release {
    pub(crate) fn new(callback: aa_release_callback, userdata: *mut c_void) -> Self {
        let release = Self::default();
        release.set(callback, userdata);
        release
    }

    pub(crate) fn set(&self, callback: aa_release_callback, userdata: *mut c_void) {
        let mut place = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        *place = callback.map(|callback| (callback, Userdata(userdata)));
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        let place = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((callback, userdata)) = place.take() {
            // SAFETY: a function of C's with this signature, and the pointer it was given with.
            unsafe { callback(userdata.get()) }
        }
    }
}
