//! Opening an audit file with care, and the names of rotated ones.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::lock::private;

/// How often opening may find that the file has come or gone between two steps.
const OPEN_ROUNDS_MAX: usize = 8;

pub(super) const NO_PLAIN_FILE: &str =
    "it is no plain file: give the path of a file, or of none yet";
const IS_A_LINK: &str = "it is a symbolic link, which is not followed: give the file's own path";
const CAME_AND_WENT: &str = "the file came and went while it was opened";

/// Opens for appending. A new file is its owner's alone; a link is never followed, not even
/// one that takes a file's place between two steps.
pub(super) fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    private(&mut options);
    for _ in 0..OPEN_ROUNDS_MAX {
        match fs::symlink_metadata(path) {
            Ok(named) => {
                check_kind(&named)?;
                match options.open(path) {
                    Ok(file) => {
                        let metadata = file.metadata()?;
                        if same_file(&named, &metadata) {
                            return Ok((file, metadata));
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match options.clone().create_new(true).open(path) {
                    Ok(file) => {
                        let metadata = file.metadata()?;
                        return Ok((file, metadata));
                    }
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(CAME_AND_WENT))
}

/// Plain files and character devices (`/dev/null`): opening a pipe could wait for ever.
fn check_kind(named: &Metadata) -> io::Result<()> {
    let kind = named.file_type();
    if kind.is_symlink() {
        return Err(io::Error::new(ErrorKind::InvalidInput, IS_A_LINK));
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_char_device(&kind) {
        return Ok(());
    }
    if kind.is_file() {
        Ok(())
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, NO_PLAIN_FILE))
    }
}

/// Whether both tell of one file. Where files have no numbers, a name that is there will do.
pub(super) fn same_file(one: &Metadata, other: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        one.dev() == other.dev() && one.ino() == other.ino()
    }
    #[cfg(not(unix))]
    {
        one.file_type() == other.file_type()
    }
}

/// `audit.jsonl.1`, `audit.jsonl.2`: the higher the older.
pub(super) fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Renames, if there is something to rename.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_renamed_where_nothing_is_and_what_cannot_be_renamed_is_told() {
        let folder = std::env::temp_dir().join(format!("aa-rename-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
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
    fn what_cannot_be_opened_or_made_is_told_by_its_cause() {
        let kind = |path: &Path| open_file(path).map_err(|error| error.kind()).err();
        let nowhere = std::env::temp_dir().join(format!("aa-no-{}/audit", std::process::id()));
        assert_eq!(kind(&nowhere), Some(ErrorKind::NotFound));
        let below_a_file = std::env::current_exe().unwrap().join("audit");
        #[cfg(unix)]
        assert_eq!(kind(&below_a_file), Some(ErrorKind::NotADirectory));
    }
}
