//! Names of older files, and which of them may be removed.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::files::open::tests::folder;

#[test]
fn a_missing_file_is_not_renamed_and_a_failed_rename_is_an_error() {
    let folder = folder("rename");
    fs::create_dir_all(folder.join("full/of")).unwrap();
    let (from, to) = (folder.join("from"), folder.join("to"));
    rename(&from, &to).unwrap();
    assert!(!to.exists());
    fs::write(&from, "x").unwrap();
    assert!(rename(&from, &folder.join("full")).is_err());
    rename(&from, &to).unwrap();
    assert!(to.exists() && !from.exists());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_number_is_a_free_one_or_that_of_the_oldest_file_that_no_one_has_open() {
    let folder = folder("space");
    let path = folder.join("a");
    let chosen = |files| number_for_older(&path, files).map(|(number, _)| number).ok();
    assert_eq!(chosen(3), Some(1));
    for (number, free) in [(1, 2), (2, 3), (3, 3)] {
        fs::write(rotated(&path, number), "x").unwrap();
        assert_eq!(chosen(3), Some(free));
    }
    let take_up = |number| take_up(&rotated(&path, number), OPEN_WAIT_MAX).unwrap();
    let third = take_up(3);
    assert_eq!(chosen(3), Some(2), "the oldest is open");
    let others = (take_up(1), take_up(2));
    assert_eq!(chosen(3), None, "all are open");
    drop(third);
    assert_eq!(chosen(3), Some(3));
    drop(others);
    let below_a_file = path.with_extension("1").join("a");
    assert!(number_for_older(&below_a_file, 3).is_err(), "no folder, no number");
    // A folder in an older file's place is neither renamed nor removed: there is no number.
    fs::remove_file(rotated(&path, 3)).unwrap();
    fs::create_dir(rotated(&path, 3)).unwrap();
    assert_eq!(chosen(3), None);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn who_is_alone_cuts_a_torn_end_and_who_is_not_leaves_it_to_be_closed() {
    let folder = folder("ends");
    let path = folder.join("a");
    let whole = "{\"a\":1}\n";
    let torn = format!("{whole}{{\"b");
    let row = |taken: &Taken| (taken.share, taken.others, taken.torn, taken.bytes_dropped);
    fs::write(&path, &torn).unwrap();
    let alone = take_up(&path, OPEN_WAIT_MAX).unwrap();
    assert_eq!(row(&alone), (Share::Held, false, false, 3));
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    fs::write(&path, &torn).unwrap();
    let second = take_up(&path, OPEN_WAIT_MAX).unwrap();
    assert_eq!(row(&second), (Share::Held, true, true, 0));
    drop((alone, second));
    let lockless = crate::files::lock::tests::without_locks(|| take_up(&path, OPEN_WAIT_MAX));
    assert_eq!(row(&lockless.unwrap()), (Share::None, true, true, 0));
    assert_eq!(fs::read_to_string(&path).unwrap(), torn);
    // Under its other name the file may belong to somebody else.
    fs::hard_link(&path, folder.join("b")).unwrap();
    assert_eq!(row(&take_up(&path, OPEN_WAIT_MAX).unwrap()), (Share::Held, false, false, 0));
    assert_eq!(fs::read_to_string(&path).unwrap(), torn.clone() + "\n");
    assert!(!take_up(&path, OPEN_WAIT_MAX).unwrap().closed, "it is whole now");
    assert_eq!(fs::read_to_string(&path).unwrap(), torn + "\n");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_under_somebody_s_exclusive_lock_is_not_taken_up() {
    let folder = folder("exclusive");
    let path = folder.join("a");
    let (file, _) = open::or_new(&path, open::options().append(true), Kinds::Plain).unwrap();
    assert!(lock::try_exclusive(&file).unwrap());
    let kind = take_up(&path, Duration::ZERO).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::ResourceBusy));
    drop(Held(file));
    assert!(take_up(&path, Duration::ZERO).is_ok());
    fs::remove_dir_all(&folder).unwrap();
}
