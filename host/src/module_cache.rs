//! The directory in which the compiled module is kept between starts.

use std::ffi::OsString;
use std::path::PathBuf;

/// The folder of this program within a user's folder for caches.
const FOLDER: &str = "jetway";

/// Returns the directory for the compiled module: that of the service (`CacheDirectory=` of systemd), or else the one within the
/// user's caches (XDG Base Directory Specification). `None` when the environment names none.
pub(crate) fn default_module_cache() -> Option<PathBuf> {
    find_directory(|name| std::env::var_os(name))
}

fn find_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification of each says that a path which is not absolute is ignored.
    let read = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let of_service = variable("CACHE_DIRECTORY").and_then(first_path);
    of_service
        .and_then(read)
        .or_else(|| Some(variable("XDG_CACHE_HOME").and_then(read)?.join(FOLDER)))
        .or_else(|| Some(variable("HOME").and_then(read)?.join(".cache").join(FOLDER)))
}

/// Returns the first of several paths that are separated by colons: systemd sets them for a unit with several directories.
fn first_path(paths: OsString) -> Option<OsString> {
    let mut paths = std::env::split_paths(&paths).map(PathBuf::into_os_string);
    paths.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Option<String> {
        let directory = find_directory(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        });
        directory.map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_directory_of_the_service_comes_first() {
        let service = ("CACHE_DIRECTORY", "/var/cache/jetway:/var/cache/other");
        let (user, home) = (("XDG_CACHE_HOME", "/c"), ("HOME", "/home/alice"));
        assert_eq!(
            find(&[service, user, home]).as_deref(),
            Some("/var/cache/jetway")
        );
        assert_eq!(find(&[user, home]).as_deref(), Some("/c/jetway"));
        assert_eq!(find(&[home]).as_deref(), Some("/home/alice/.cache/jetway"));
    }

    #[test]
    fn relative_and_missing_paths_are_no_directory() {
        assert_eq!(find(&[]), None);
        let relative = [
            ("CACHE_DIRECTORY", ""),
            ("XDG_CACHE_HOME", "c"),
            ("HOME", ""),
        ];
        assert_eq!(find(&relative), None);
        assert_eq!(
            find(&[relative[0], relative[1], ("HOME", "/root")]).as_deref(),
            Some("/root/.cache/jetway")
        );
    }
}
