//! The configuration file of Opik's own clients: `~/.opik.config`, an INI file.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::Error;
use crate::files::open::{Kinds, to_read};

/// Names another file.
const PATH_VARIABLE: &str = "OPIK_CONFIG_PATH";
const FILE_NAME: &str = ".opik.config";
/// Largest file that is read. A real one has five lines.
const FILE_BYTES_MAX: u64 = 64 << 10;
const SECTION: &str = "opik";

/// The file's keys, each with the environment variable that takes precedence.
const KEYS: [(&str, &str); 4] = [
    ("url_override", "OPIK_URL_OVERRIDE"),
    ("api_key", "OPIK_API_KEY"),
    ("workspace", "OPIK_WORKSPACE"),
    ("project_name", "OPIK_PROJECT_NAME"),
];

/// Variables that show that an Opik server is configured.
pub(crate) const NAMES_AN_OPIK: [&str; 2] = ["OPIK_URL_OVERRIDE", "OPIK_API_KEY"];

/// The file's values, under the names of the environment variables.
#[derive(Default)]
pub(crate) struct OpikFile {
    values: Vec<(&'static str, String)>,
}

impl OpikFile {
    /// The file that `OPIK_CONFIG_PATH` names, else the one in the user's home; empty if it does
    /// not exist.
    pub(crate) fn of_user(env: &Env<'_>) -> Result<Self, Error> {
        let home = env.variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
        let home = home.map(PathBuf::from);
        let path = match (env.variable(PATH_VARIABLE), home) {
            (Some(named), Some(home)) => match named.strip_prefix("~/") {
                Some(below) => home.join(below),
                None => PathBuf::from(named),
            },
            (Some(named), None) => PathBuf::from(named),
            (None, Some(home)) => home.join(FILE_NAME),
            (None, None) => return Ok(Self::default()),
        };
        Self::read(&path)
    }

    /// As [`of_user`](Self::of_user), but a file that cannot be read counts as empty if its server
    /// and key would not be used.
    pub(crate) fn behind(explicit: bool, env: &Env<'_>) -> Result<Self, Error> {
        let names = |variable| env.variable(variable).is_some();
        let decided = explicit || NAMES_AN_OPIK.into_iter().all(names);
        Self::of_user(env).or_else(|error| if decided { Ok(Self::default()) } else { Err(error) })
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        // A device too: a link to /dev/null is a way to disable the file.
        let read = to_read(path, Kinds::PlainOrDevice)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 <= FILE_BYTES_MAX => {
                Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
            }
            Ok(_) => Err(Error::InvalidConfig(format!(
                "{} has more than {FILE_BYTES_MAX} bytes: that is no Opik configuration",
                path.display()
            ))),
            Err(error) if is_absent(path, &error) => Ok(Self::default()),
            Err(source) => {
                let what = format!("cannot read the Opik configuration {}", path.display());
                Err(Error::Io { what, source })
            }
        }
    }

    /// Parses the known keys of the section; unknown ones are skipped.
    fn parse(text: &str) -> Self {
        let mut values: Vec<(&'static str, String)> = Vec::new();
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                inside = section.trim() == SECTION;
                continue;
            }
            if !inside || line.starts_with(['#', ';']) {
                continue;
            }
            let Some((key, value)) = line.split_once(['=', ':']) else { continue };
            let (key, value) = (key.trim(), value.trim());
            let known = KEYS.iter().find(|(name, _)| key.eq_ignore_ascii_case(name));
            if let Some((_, variable)) = known.filter(|_| !value.is_empty()) {
                values.push((variable, value.to_owned()));
            }
        }
        Self { values }
    }

    /// The environment variable, or else the file's value.
    pub(crate) fn or_env(&self, env: &Env<'_>, name: &str) -> Option<String> {
        env.variable(name).or_else(|| self.value(name))
    }

    fn value(&self, name: &str) -> Option<String> {
        // The last word counts.
        let found = self.values.iter().rfind(|(variable, _)| *variable == name);
        found.map(|(_, value)| value.clone())
    }
}

/// Whether the file does not exist, as far as this user can see: in a home folder that may not be
/// searched (another user's, for example) no file can be found. An existing file that cannot be
/// read is an error, since it may name another server.
fn is_absent(path: &Path, error: &std::io::Error) -> bool {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => true,
        ErrorKind::PermissionDenied => path.symlink_metadata().is_err(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_section_counts_and_the_last_word_wins() {
        let file = OpikFile::parse(
            "api_key = outside\n[other]\napi_key=other\n[opik]\r\n# note\n\
             URL_OVERRIDE = http://h:5173/api/\napi_key: first\napi_key = k*e=\nworkspace =\n\
             unknown = x\nno pair\n; project_name = y\n",
        );
        let value = |name| file.value(name);
        assert_eq!(value("OPIK_URL_OVERRIDE").as_deref(), Some("http://h:5173/api/"));
        assert_eq!(value("OPIK_API_KEY").as_deref(), Some("k*e="));
        assert_eq!(value("OPIK_WORKSPACE"), None);
        assert_eq!(value("OPIK_PROJECT_NAME"), None);
    }

    #[test]
    fn no_file_is_an_empty_one_and_a_folder_is_an_error() {
        let gone = std::env::temp_dir().join("automation-assistant-no-such-folder/x");
        assert!(OpikFile::read(&gone).unwrap().values.is_empty());
        assert!(matches!(OpikFile::read(&std::env::temp_dir()), Err(Error::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_home_that_may_not_be_searched_holds_no_file_and_a_closed_file_is_an_error() {
        use crate::files::open::tests::folder;
        use std::fs::{Permissions, set_permissions, write};
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("opik-closed");
        let path = folder.join(FILE_NAME);
        write(&path, "[opik]\nworkspace = w\n").unwrap();
        set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
        let denied = std::io::Error::from(ErrorKind::PermissionDenied);
        assert!(!is_absent(&path, &denied));
        // File modes do not bind root.
        if std::fs::File::open(&path).is_err() {
            assert!(matches!(OpikFile::read(&path), Err(Error::Io { .. })));
            set_permissions(&folder, Permissions::from_mode(0o000)).unwrap();
            assert!(OpikFile::read(&path).unwrap().values.is_empty());
            set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
        }
        std::fs::remove_dir_all(folder).ok();
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_its_place_is_an_error_and_no_hang() {
        use crate::files::open::tests::{folder, unix};
        let folder = folder("opik-config");
        let path = folder.join(FILE_NAME);
        unix::pipe(&path);
        let read = unix::in_time(move || OpikFile::read(&path).map(drop));
        assert!(matches!(read, Err(Error::Io { .. })));
        assert!(OpikFile::read(Path::new("/dev/null")).unwrap().values.is_empty());
        std::fs::remove_dir_all(folder).ok();
    }
}
