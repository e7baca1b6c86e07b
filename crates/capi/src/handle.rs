//! Handles: pointers for C that point nowhere. The value of one is a number, which this crate
//! looks up in a table; so a handle that was freed is an error and never a use after free.
#![forbid(unsafe_code)]

use std::marker::PhantomData;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::status::{Failure, aa_status};
use crate::text::null;

/// Bits of a handle for its kind, which is never zero: no handle is NULL.
const KIND_BITS: u32 = 3;
/// Bits for the place in the table: how many handles of a kind there may be at once.
const PLACE_BITS: u32 = if usize::BITS == 64 { 24 } else { 14 };
/// The other bits count how often the place was used. The count comes round after 2^37 uses
/// (32-bit devices: 2^15); a handle freed that long ago could then be taken for a new one.
const USE_BITS: u32 = usize::BITS - KIND_BITS - PLACE_BITS;

/// All handles of one kind: C's type `H`, which stands for a `T`.
pub(crate) struct Table<H, T> {
    kind: usize,
    places: Mutex<Places<T>>,
    c_type: PhantomData<fn() -> H>,
}

struct Places<T> {
    all: Vec<Place<T>>,
    free: Vec<usize>,
}

struct Place<T> {
    used: usize,
    value: Option<Arc<T>>,
}

impl<H, T> Table<H, T> {
    pub(crate) const fn new(kind: usize) -> Self {
        let places = Places { all: Vec::new(), free: Vec::new() };
        Self { kind, places: Mutex::new(places), c_type: PhantomData }
    }

    pub(crate) fn add(&self, value: T) -> Result<*mut H, Failure> {
        let mut places = self.lock();
        let at = match places.free.pop() {
            Some(at) => at,
            None if places.all.len() < 1 << PLACE_BITS => {
                places.all.push(Place { used: 0, value: None });
                places.all.len() - 1
            }
            None => {
                let why = "there are too many handles: free some";
                return Err(Failure::new(aa_status::AA_TOO_MANY_HANDLES, why));
            }
        };
        let place = &mut places.all[at];
        place.value = Some(Arc::new(value));
        Ok(ptr::without_provenance_mut((place.used << PLACE_BITS | at) << KIND_BITS | self.kind))
    }

    /// The handle's value. The caller keeps it alive, even where another thread frees the handle.
    pub(crate) fn get(&self, handle: *const H) -> Result<Arc<T>, Failure> {
        let mut places = self.lock();
        self.find(&mut places, handle)
            .and_then(|(place, _)| place.value.clone().ok_or_else(invalid))
    }

    /// Ends the handle. Its value is dropped with its last user.
    pub(crate) fn remove(&self, handle: *const H) -> Result<Arc<T>, Failure> {
        let mut places = self.lock();
        let (place, at) = self.find(&mut places, handle)?;
        let value = place.value.take().ok_or_else(invalid)?;
        place.used = (place.used + 1) & ((1 << USE_BITS) - 1);
        places.free.push(at);
        Ok(value)
    }

    fn find<'p>(
        &self,
        places: &'p mut Places<T>,
        handle: *const H,
    ) -> Result<(&'p mut Place<T>, usize), Failure> {
        if handle.is_null() {
            return Err(null());
        }
        let number = handle.addr();
        let at = number >> KIND_BITS & ((1 << PLACE_BITS) - 1);
        let used = number >> (KIND_BITS + PLACE_BITS);
        let is_kind = number & ((1 << KIND_BITS) - 1) == self.kind;
        let place = places.all.get_mut(at).filter(|place| is_kind && place.used == used);
        place.map(|place| (place, at)).ok_or_else(invalid)
    }

    fn lock(&self) -> MutexGuard<'_, Places<T>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn invalid() -> Failure {
    Failure::new(
        aa_status::AA_INVALID_HANDLE,
        "the handle was freed, or never was one of this kind",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Handle;
    static NUMBERS: Table<Handle, u32> = Table::new(1);
    static OTHERS: Table<Handle, u32> = Table::new(2);

    fn status<T>(result: Result<T, Failure>) -> aa_status {
        result.map_or_else(|failure| failure.status, |_| aa_status::AA_OK)
    }

    #[test]
    fn a_handle_ends_once_and_its_place_is_used_again_under_another() {
        let first = NUMBERS.add(1).ok().unwrap();
        let kept = NUMBERS.get(first).ok().unwrap();
        assert_eq!(status(NUMBERS.remove(first)), aa_status::AA_OK);
        let second = NUMBERS.add(2).ok().unwrap();
        assert_eq!((*kept, *NUMBERS.get(second).ok().unwrap()), (1, 2));
        assert_ne!(first, second);
        for ended in [NUMBERS.get(first), NUMBERS.remove(first), OTHERS.get(second)] {
            assert_eq!(status(ended), aa_status::AA_INVALID_HANDLE);
        }
        for number in 0..64 {
            let unknown = ptr::without_provenance::<Handle>(number);
            let expected = match number {
                0 => aa_status::AA_NULL_PARAMETER,
                _ => aa_status::AA_INVALID_HANDLE,
            };
            assert_eq!(status(OTHERS.get(unknown)), expected, "{number}");
        }
        assert_eq!(NUMBERS.lock().all.len(), 1, "one place for both");
    }
}
