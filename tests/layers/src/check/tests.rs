use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn path(text: &str) -> Vec<String> {
    text.split("::").map(str::to_owned).collect()
}

/// A tree of modules, each import as `from -> to`.
fn tree(modules: &[&str], imports: &[(&str, &str)]) -> SourceTree {
    let file = || PathBuf::from("file.rs");
    let modules = modules.iter().map(|module| Module {
        file: file(),
        path: path(module),
    });
    let imports = imports.iter().map(|(from, to)| Import {
        file: file(),
        line: 7,
        from: path(from),
        to: path(to),
    });
    SourceTree {
        modules: modules.collect(),
        imports: imports.collect(),
    }
}

const LAYERS: &[&[&str]] = &[&["low", "base"], &["high"]];

#[test]
fn imports_that_point_down_are_permitted() {
    let tree = tree(
        &["low", "low::part", "base", "high"],
        &[
            ("high", "low::part::Item"),
            ("low::part", "low::Item"),
            ("low", "low::part::Item"),
            ("high", "base"),
        ],
    );
    assert_eq!(find_violations(&tree, LAYERS), [""; 0]);
}

#[test]
fn an_import_from_a_higher_layer_or_the_same_one_is_a_violation() {
    let tree = tree(
        &["low", "low::part", "base", "high"],
        &[
            ("low::part", "high::Item"),
            ("base", "low::Item"),
            ("high", "Item"),
        ],
    );
    assert_eq!(
        find_violations(&tree, LAYERS),
        [
            "file.rs:7: `low` imports `crate::high::Item`: `high` is in a higher layer",
            "file.rs:7: `base` imports `crate::low::Item`: `low` is in the same layer",
            "file.rs:7: `high` imports `crate::Item`: an item of the crate root, which is above all layers",
        ]
    );
}

#[test]
fn the_list_and_the_modules_have_to_agree() {
    let tree = tree(&["low", "high", "other"], &[("other", "high")]);
    assert_eq!(
        find_violations(&tree, LAYERS),
        [
            "file.rs: the module `other` is in no layer",
            "the listed module `base` does not exist"
        ]
    );
}

#[test]
fn a_longer_path_takes_a_module_out_of_its_parent() {
    let layers: &[&[&str]] = &[&["http::path"], &["policy"], &["http"]];
    let tree = tree(
        &["http", "http::path", "http::page", "policy"],
        &[
            ("policy", "http::path::Item"),
            ("http", "http::path::Item"),
            ("policy", "http::page::Item"),
        ],
    );
    assert_eq!(
        find_violations(&tree, layers),
        ["file.rs:7: `policy` imports `crate::http::page::Item`: `http` is in a higher layer"]
    );
}

#[test]
fn a_crate_on_disk_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, source: &str| fs::write(folder.path().join(name), source).unwrap();
    write("lib.rs", "mod low;\nmod high;\n");
    write("low.rs", "use std::fmt;\n\nuse crate::high::Item;\n");
    write("high.rs", "pub(crate) struct Item;\n");
    let layers: &[&[&str]] = &[&["low"], &["high"]];
    let violations = check_layers(folder.path(), layers).unwrap();
    let file = folder.path().join("low.rs");
    assert_eq!(
        violations,
        [format!(
            "{}:3: `low` imports `crate::high::Item`: `high` is in a higher layer",
            file.display()
        )]
    );
    assert!(check_layers(Path::new("/no/such/folder"), layers).is_err());
}
