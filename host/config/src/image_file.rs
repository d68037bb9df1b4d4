//! Images that the configuration names by file (`logo_file`). They are embedded in the pages, because the module reads no
//! files and pages load nothing.

use std::path::Path;

use crate::file;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jetway_core::config::MAX_IMAGE;
use jetway_core::diagnostics::Problem;
use serde_json::{Map, Value};

/// Keys that exist with the suffix `_file`, which is replaced by the one with `_url`.
const IMAGES: [&str; 2] = ["logo", "favicon"];

/// Most bytes of an image: base64 adds a third, and the core allows [`MAX_IMAGE`] bytes including the media type.
const IMAGE_FILE: usize = MAX_IMAGE / 4 * 3 - 48;

/// The first bytes of image files, and their media types.
const KINDS: [(&[u8], &str); 7] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"\0\0\x01\0", "image/x-icon"),
    (b"<svg", "image/svg+xml"),
    (b"<?xml", "image/svg+xml"),
];

/// Replaces each `…_file` of an image by `…_url` with the image itself. Returns the problems.
pub(crate) fn resolve(value: &mut Value) -> Vec<Problem> {
    let Value::Object(keys) = value else {
        return Vec::new();
    };
    let resolve = |name| resolve_one(keys, name).err();
    IMAGES.into_iter().filter_map(resolve).collect()
}

fn resolve_one(keys: &mut Map<String, Value>, name: &str) -> Result<(), Problem> {
    let (file_key, url_key) = (format!("{name}_file"), format!("{name}_url"));
    let find = |keys: &Map<String, Value>, key: &str| {
        let written = keys.keys().find(|other| other.eq_ignore_ascii_case(key));
        written.cloned()
    };
    let Some(written) = find(keys, &file_key) else {
        return Ok(());
    };
    let path = keys.remove(&written).unwrap_or_default();
    if path.is_null() || path.as_str() == Some("") {
        return Ok(());
    }
    let help = "name a PNG, SVG, JPEG, WebP, GIF or ICO file";
    let Some(path) = path.as_str() else {
        let problem = Problem::new(
            &*written,
            format!("`{file_key}` must be the path of a file"),
        );
        return Err(problem.help(help));
    };
    if find(keys, &url_key).is_some() {
        let problem = format!("both `{url_key}` and `{file_key}` are given");
        return Err(Problem::new(&*written, problem).help("keep one of them"));
    }
    let limit = u64::try_from(IMAGE_FILE).unwrap_or(u64::MAX);
    let bytes = file::read("image", Path::new(path), limit)
        .map_err(|error| Problem::new(&*written, error.to_string()).help(help))?;
    let kind = KINDS
        .iter()
        .find(|(beginning, _)| bytes.trim_ascii_start().starts_with(beginning));
    let Some((_, kind)) = kind else {
        let problem = format!("`{path}` is not an image in a supported format");
        return Err(Problem::new(&*written, problem).help(help));
    };
    let address = format!("data:{kind};base64,{}", STANDARD.encode(&bytes));
    keys.insert(url_key, Value::String(address));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolved(content: &[u8]) -> (Value, Vec<Problem>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logo");
        std::fs::write(&path, content).unwrap();
        let mut value = json!({"Logo_File": path.to_str().unwrap()});
        let problems = resolve(&mut value);
        (value, problems)
    }

    #[test]
    fn an_image_replaces_the_name_of_its_file() {
        for (content, url) in [
            (b"<svg/>".as_slice(), "data:image/svg+xml;base64,PHN2Zy8+"),
            (b"\x89PNG\r\n\x1a\n", "data:image/png;base64,iVBORw0KGgo="),
        ] {
            assert_eq!(resolved(content), (json!({ "logo_url": url }), vec![]));
        }
        let mut largest = vec![b' '; IMAGE_FILE];
        largest[..4].copy_from_slice(b"<svg");
        let (value, problems) = resolved(&largest);
        assert_eq!(problems, []);
        assert!(value["logo_url"].as_str().unwrap().len() <= MAX_IMAGE);
    }

    #[test]
    fn a_file_without_a_usable_image_is_a_problem() {
        for (content, part) in [
            (b"".as_slice(), "not an image"),
            (b"<html>", "not an image"),
            (&vec![b'<'; IMAGE_FILE + 1], "larger than"),
        ] {
            let (_, problems) = resolved(content);
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].path, "Logo_File");
            assert!(problems[0].message.contains(part), "{}", problems[0]);
        }
        for (mut value, part) in [
            (json!({"favicon_file": "/no/such/file"}), "there is no"),
            (json!({"favicon_file": 7}), "must be the path"),
            (json!({"favicon_file": "a", "favicon_url": "b"}), "both"),
        ] {
            let problems = resolve(&mut value);
            assert!(problems[0].message.contains(part), "{}", problems[0]);
        }
        let mut none = json!({"logo_file": null, "favicon_file": ""});
        assert_eq!((resolve(&mut none), none), (vec![], json!({})));
    }
}
