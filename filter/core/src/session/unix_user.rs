//! Names of Unix users.

/// Longest name in bytes: `LOGIN_NAME_MAX` of Linux without its zero byte.
const LONGEST: usize = 255;

/// The name of a Unix user, from `/etc/passwd` or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixUser(String);

impl UnixUser {
    /// Checks a name. It has to begin with an ASCII letter or `_`, followed by letters, digits, `_`, `-`, `.` and, as directories
    /// write names, `@` and `\`. Digits alone are not a name, because they could be a user id.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = name.bytes();
        let begins = bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        let fit = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@' | b'\\')
        };
        (begins && name.len() <= LONGEST && bytes.all(fit)).then(|| Self(name.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is the usual name of the superuser. Other names of the user id 0 are known only on the server.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.eq_ignore_ascii_case("root")
    }
}

impl std::fmt::Display for UnixUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for name in [
            "alice",
            "_apt",
            "A.b-c_d9",
            "alice@corp.example",
            "CORP\\alice",
            &"a".repeat(LONGEST),
        ] {
            assert!(UnixUser::new(name).is_some(), "{name}");
        }
        for name in [
            "",
            "0",
            "1000",
            "9a",
            "-a",
            ".a",
            "a b",
            "a:b",
            "a/b",
            "a\n",
            "a\0",
            "a,b",
            "a+b",
            "é",
            "alice ",
            &"a".repeat(LONGEST + 1),
        ] {
            assert!(UnixUser::new(name).is_none(), "{name:?}");
        }
        assert!(UnixUser::new("root").unwrap().is_root());
        assert!(!UnixUser::new("rooty").unwrap().is_root());
    }
}
