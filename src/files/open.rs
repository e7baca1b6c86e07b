//! Opening files: without waiting, without following links for writing; new files are readable by
//! their owner only.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How often an attempt to open may find that the file was created or removed between two steps.
pub(crate) const OPEN_ROUNDS_MAX: usize = 8;

pub(crate) const NO_PLAIN_FILE: &str =
    "it is no plain file: give the path of a file, or of none yet";
const IS_A_LINK: &str = "it is a symbolic link, which is not followed: give the file's own path";
const CAME_AND_WENT: &str = "the file came and went while it was opened";

/// `O_NONBLOCK`, for which std has no name: with it, open(2) of a pipe does not wait for the
/// pipe's other end. It changes nothing for plain files.
#[cfg(unix)]
const NONBLOCK: i32 = if cfg!(any(target_os = "linux", target_os = "android")) {
    // The kernel's include/uapi/asm-generic/fcntl.h; two processors have a file of their own.
    if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        0x80
    } else if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) {
        0x4000
    } else {
        0o4000
    }
} else if cfg!(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
)) {
    // sys/fcntl.h of each.
    0x4
} else {
    // Unknown system: the check of the file's type before opening must suffice.
    0
};

/// The types of file that may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    Plain,
    /// Devices such as `/dev/null` as well.
    PlainOrDevice,
}

/// Options that do not wait, and create files with mode 0600.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(NONBLOCK);
    }
    options
}

/// Creates the folders above a file, where they are missing.
pub(crate) fn make_folders(file: &Path) -> io::Result<()> {
    match file.parent().map(fs::create_dir_all) {
        // std reports only that the name is taken.
        Some(Err(error)) if error.kind() == ErrorKind::AlreadyExists => {
            Err(ErrorKind::NotADirectory.into())
        }
        made => made.unwrap_or(Ok(())),
    }
}

/// Opens an existing file. No link is followed, not even one that replaces the file between two
/// steps.
pub(crate) fn existing(
    path: &Path,
    options: &OpenOptions,
    kinds: Kinds,
) -> io::Result<(File, Metadata)> {
    let named = fs::symlink_metadata(path)?;
    // Before opening too: opening a device can start an operation.
    check_kind(&named, kinds)?;
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if same_file(&named, &metadata) {
        return Ok((file, metadata));
    }
    Err(io::Error::new(ErrorKind::NotFound, CAME_AND_WENT))
}

/// Opens a file; creates it if it does not exist.
pub(crate) fn or_new(
    path: &Path,
    options: &OpenOptions,
    kinds: Kinds,
) -> io::Result<(File, Metadata)> {
    for _ in 0..OPEN_ROUNDS_MAX {
        match existing(path, options, kinds) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            others => return others,
        }
        match options.clone().create_new(true).open(path) {
            Ok(file) => {
                let metadata = file.metadata()?;
                return Ok((file, metadata));
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(came_and_went())
}

/// Opens a file for reading, through links too: one that its user named, and that is not changed.
/// Reading it does not wait either.
pub(crate) fn to_read(path: &Path, kinds: Kinds) -> io::Result<File> {
    let check = |metadata: Metadata| match fits(&metadata, kinds) {
        true => Ok(()),
        false => Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is no file but a folder, a pipe, a socket or a device",
        )),
    };
    fs::metadata(path).and_then(check)?;
    let file = options().read(true).open(path)?;
    file.metadata().and_then(check)?;
    Ok(file)
}

/// The error if the file was replaced during every attempt to open it.
pub(crate) fn came_and_went() -> io::Error {
    io::Error::other(CAME_AND_WENT)
}

fn check_kind(named: &Metadata, kinds: Kinds) -> io::Result<()> {
    if named.is_symlink() {
        return Err(io::Error::new(ErrorKind::InvalidInput, IS_A_LINK));
    }
    match fits(named, kinds) {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, NO_PLAIN_FILE)),
    }
}

fn fits(metadata: &Metadata, kinds: Kinds) -> bool {
    #[cfg(unix)]
    let device = std::os::unix::fs::FileTypeExt::is_char_device(&metadata.file_type());
    #[cfg(not(unix))]
    let device = false;
    metadata.is_file() || (kinds == Kinds::PlainOrDevice && device)
}

/// The metadata under the name, if the name refers to this open file.
pub(crate) fn named(path: &Path, file: &File) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(named) => {
            let same = same_file(&named, &file.metadata()?);
            Ok(same.then_some(named))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether both describe one file. On systems without file numbers, an existing name suffices.
pub(crate) fn same_file(one: &Metadata, other: &Metadata) -> bool {
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

/// Whether the file has further names (hard links): under one of them it may belong to another
/// user, and must not be shortened.
pub(crate) fn has_other_names(metadata: &Metadata) -> bool {
    names(metadata) > 1
}

/// The number of the file's names; 0 once it was removed, 1 where the system does not say.
pub(crate) fn names(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    {
        let _ = metadata;
        1
    }
}

/// The path with a suffix added to its last name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
#[path = "open_tests.rs"]
pub(crate) mod tests;
