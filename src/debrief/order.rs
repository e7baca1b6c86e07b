//! Sorting of lists that are bounded to some hundred items.

/// Sorts by insertion; equal items keep their order. The standard library's sorts win only
/// where lists are longer than any in a report, and no common program links them for another
/// reason: with `sort_by` here, the Local program with an audit file and its report grew from
/// 550,648 to 570,344 bytes and the client with everything from 1,785,896 to 1,805,608 (with
/// `sort_unstable_by` to 568,128 and 1,803,176; benches/programs, profile `size`, x86-64,
/// rustc 1.95).
pub(super) fn sort_short<T>(list: &mut [T], goes_before: impl Fn(&T, &T) -> bool) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && goes_before(&list[at], &list[at - 1]) {
            list.swap(at, at - 1);
            at -= 1;
        }
    }
}
