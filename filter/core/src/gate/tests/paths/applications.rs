//! How common applications read a path, each in a few lines: what they compare with the paths that they serve.

/// Reads a path as it is sent; `None` when the application refuses it.
type Reading = fn(&str) -> Option<Vec<u8>>;

/// The applications.
pub(super) const APPLICATIONS: [(&str, Reading); 8] = [
    ("Python (WSGI, ASGI)", |path| decoded(path, b"")),
    ("Go (net/http)", |path| Some(resolved(&decoded(path, b"")?))),
    ("Node (Express, its routes)", |path| {
        Some(path.as_bytes().to_vec())
    }),
    ("Node (Express, its parameters)", |path| {
        each_segment(path, |segment| decoded(segment, b""))
    }),
    ("PHP behind nginx", |path| {
        Some(resolved(&decoded(path, b"")?))
    }),
    ("Java (Tomcat, Jetty, Spring)", |path| {
        let named = each_segment(path, |segment| {
            let name = segment.split(';').next().unwrap_or_default();
            decoded(name, b"/\\")
        })?;
        (!named.contains(&b'\\')).then(|| resolved(&named))
    }),
    ("Rust (axum)", |path| {
        each_segment(path, |segment| decoded(segment, b""))
    }),
    ("Rust (actix)", |path| {
        // These stay escaped, so that they are not taken for delimiters.
        decoded_except(path, b"/%+")
    }),
];

/// Returns whether an application distinguishes some escapes from the characters that they encode.
pub(super) fn compares_escapes(name: &str) -> bool {
    ["Node (Express, its routes)", "Rust (actix)"].contains(&name)
}

/// Percent-decodes a path; `None` for an invalid escape, or for the escape of a refused byte.
fn decoded(path: &str, refused: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |_| true)?;
    let escaped = decode(path, |byte| !refused.contains(&byte))?;
    (decoded == escaped).then_some(decoded)
}

fn decoded_except(path: &str, kept: &[u8]) -> Option<Vec<u8>> {
    decode(path, |byte| !kept.contains(&byte))
}

/// Decodes the escapes of chosen bytes; others are kept, with digits in upper case.
fn decode(path: &str, is_wanted: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        rest = after;
        let digits = std::str::from_utf8(digits).ok()?;
        let value = u8::from_str_radix(digits, 16).ok()?;
        if is_wanted(value) {
            decoded.push(value);
        } else {
            decoded.extend(format!("%{value:02X}").into_bytes());
        }
    }
    Some(decoded)
}

fn each_segment(path: &str, read: impl Fn(&str) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let segments: Option<Vec<Vec<u8>>> = path.split('/').map(read).collect();
    Some(segments?.join(&b'/'))
}

/// Removes dot segments and empty ones.
pub(super) fn resolved(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut is_directory = false;
    for segment in path.split(|&byte| byte == b'/') {
        is_directory = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let mut resolved = vec![b'/'];
    resolved.extend(kept.join(&b'/'));
    if is_directory && !kept.is_empty() {
        resolved.push(b'/');
    }
    resolved
}
