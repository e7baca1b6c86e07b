//! Other types of file under the name: nothing waits for them, and nothing is done to them.
#![allow(clippy::unwrap_used)]

use super::*;

/// A folder of the test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("aa-files-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn what_cannot_be_opened_or_created_is_reported_by_its_cause() {
    let kind = |path: &Path| {
        let opened = or_new(path, options().append(true), Kinds::Plain);
        opened.map_err(|error| error.kind()).err()
    };
    let nowhere = std::env::temp_dir().join(format!("aa-no-{}/audit", std::process::id()));
    assert_eq!(kind(&nowhere), Some(ErrorKind::NotFound));
    #[cfg(unix)]
    assert_eq!(
        kind(&std::env::current_exe().unwrap().join("audit")),
        Some(ErrorKind::NotADirectory)
    );
}

#[test]
fn folders_are_made_unless_a_file_has_their_name() {
    let folder = folder("above");
    let path = folder.join("a/b/c");
    make_folders(&path).unwrap();
    make_folders(&path).unwrap();
    fs::write(&path, "x").unwrap();
    let kind = |path: &Path| make_folders(path).map_err(|error| error.kind()).err();
    assert_eq!(kind(&path.join("audit")), Some(ErrorKind::NotADirectory));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_name_is_a_file_s_until_another_stands_there() {
    let folder = folder("named");
    let path = folder.join("a");
    let (file, metadata) = or_new(&path, options().append(true), Kinds::Plain).unwrap();
    assert!(!has_other_names(&metadata));
    assert!(named(&path, &file).unwrap().is_some());
    fs::rename(&path, folder.join("b")).unwrap();
    assert!(named(&path, &file).unwrap().is_none());
    #[cfg(unix)]
    assert!(named(&folder.join("b/below a file"), &file).is_err());
    fs::write(&path, "another").unwrap();
    #[cfg(unix)]
    {
        assert!(named(&path, &file).unwrap().is_none());
        fs::hard_link(&path, folder.join("c")).unwrap();
        assert!(has_other_names(&fs::metadata(&path).unwrap()));
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
pub(crate) mod unix {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Longer than any of these operations takes, unless it hangs.
    const HUNG: Duration = Duration::from_secs(20);

    pub(crate) fn pipe(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    /// The result of the work; a panic if it hangs.
    pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, outcome) = mpsc::channel();
        std::thread::spawn(move || done.send(work()));
        outcome.recv_timeout(HUNG).expect("it hangs, or panicked")
    }

    #[test]
    fn pipes_folders_and_links_are_no_files_and_opening_them_never_hangs() {
        let folder = folder("odd");
        let (pipe_path, dir) = (folder.join("pipe"), folder.join("dir"));
        let (link, dangling) = (folder.join("link"), folder.join("dangling"));
        pipe(&pipe_path);
        fs::create_dir(&dir).unwrap();
        fs::write(folder.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(folder.join("file"), &link).unwrap();
        std::os::unix::fs::symlink(folder.join("nothing"), &dangling).unwrap();
        for (path, readable) in [(pipe_path, false), (dir, false), (link, true), (dangling, false)]
        {
            let (error, read) = in_time(move || {
                let opened = or_new(&path, options().read(true).write(true), Kinds::PlainOrDevice);
                (
                    opened.map(drop).map_err(|error| error.kind()),
                    to_read(&path, Kinds::PlainOrDevice).is_ok(),
                )
            });
            assert_eq!(error, Err(ErrorKind::InvalidInput));
            assert_eq!(read, readable);
        }
        assert!(!folder.join("nothing").exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_pipe_that_takes_a_file_s_place_after_the_first_look_does_not_hang_either() {
        let folder = folder("late");
        let path = folder.join("pipe");
        pipe(&path);
        assert!(in_time(move || options().read(true).open(path)).is_ok());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn devices_are_opened_where_they_may_be() {
        let null = Path::new("/dev/null");
        assert!(or_new(null, options().append(true), Kinds::PlainOrDevice).is_ok());
        assert!(or_new(null, options().append(true), Kinds::Plain).is_err());
        assert!(to_read(null, Kinds::PlainOrDevice).is_ok());
        assert!(to_read(null, Kinds::Plain).is_err());
    }

    #[test]
    fn new_files_are_their_owner_s_alone() {
        let folder = folder("mode");
        let (_, metadata) =
            or_new(&folder.join("a"), options().append(true), Kinds::Plain).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(folder).unwrap();
    }
}
