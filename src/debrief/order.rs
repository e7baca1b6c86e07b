//! Sorting of what is bounded to some hundred.

/// Sorts by insertion. The standard library's sort is 3 KB for each kind of list, and wins
/// only where lists are longer than any in a report.
pub(super) fn sort_short<T>(list: &mut [T], goes_before: impl Fn(&T, &T) -> bool) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && goes_before(&list[at], &list[at - 1]) {
            list.swap(at, at - 1);
            at -= 1;
        }
    }
}
