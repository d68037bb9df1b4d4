use super::*;

/// The imports of a file of the module `a::b`, each as its line and its path.
fn read(source: &str) -> Vec<(usize, String)> {
    let mut tree = SourceTree::default();
    tree.read_source(
        Path::new("file.rs"),
        vec!["a".to_owned(), "b".to_owned()],
        source,
    );
    let imports = tree.imports.iter();
    imports
        .map(|import| (import.line, import.to.join("::")))
        .collect()
}

/// The paths that are imported on the first line.
fn read_line(source: &str) -> Vec<String> {
    let imports = read(source).into_iter();
    imports
        .map(|(line, path)| {
            assert_eq!(line, 1);
            path
        })
        .collect()
}

#[test]
fn each_leaf_of_a_use_is_an_import() {
    assert_eq!(read_line("use crate::x::Y;"), ["x::Y"]);
    assert_eq!(read_line("pub(crate) use crate::x::*;"), ["x"]);
    assert_eq!(read_line("use crate::x::Y as _;"), ["x::Y"]);
    assert_eq!(
        read_line("use crate::{x::{self, Y as crate_z, z::{A, B}}, w};"),
        ["x", "x::Y", "x::z::A", "x::z::B", "w"]
    );
    assert_eq!(read_line("use {std::fmt, crate::x};"), ["x"]);
    assert_eq!(
        read("use crate::{\n    x,\n    y,\n};"),
        [(2, "x".to_owned()), (3, "y".to_owned())]
    );
}

#[test]
fn relative_paths_are_resolved() {
    assert_eq!(read_line("use super::x;"), ["a::x"]);
    assert_eq!(read_line("use super::super::x::Y;"), ["x::Y"]);
    assert_eq!(read_line("use self::x::Y;"), ["a::b::x::Y"]);
    assert_eq!(read_line("mod x; use x::Y; use y::Z;"), ["a::b::x::Y"]);
    assert_eq!(
        read_line("mod x { use super::Y; use super::super::Z; }"),
        ["a::b::Y", "a::Z"]
    );
}

#[test]
fn paths_in_code_are_imports() {
    let source = "fn f(x: &crate::x::X<super::Y>) -> usize { crate::z::call::<u8>(self.x, self) }";
    assert_eq!(read_line(source), ["x::X", "a::Y", "z::call"]);
    assert_eq!(
        read_line("macro_rules! m { () => { $crate::x::Y } }"),
        ["x::Y"]
    );
}

#[test]
fn other_crates_and_visibilities_are_no_imports() {
    for source in [
        "use std::{fmt, io::{self, Read}};",
        "mod fmt; use std::fmt::Display;",
        "pub(in crate::x) fn f() {}",
        "pub(super) fn f(self) {}",
        "fn f() { other::crate_::x(); }",
        "// use crate::x;\n",
        "const TEXT: &str = \"crate::x\";",
    ] {
        assert_eq!(read(source), [], "{source}");
    }
}

#[test]
fn what_exists_only_in_tests_is_left_out() {
    for source in [
        "#[cfg(test)] mod tests { use crate::x; fn f() {} }",
        "#[cfg(test)] use crate::{x, y};",
        "#[cfg(any(test, feature = \"fuzzing\"))] pub mod x;",
        "#[cfg(test)] #[derive(Debug)] pub(crate) struct X { y: crate::Y }",
        "#[cfg(test)] const fn f<A, B>() -> [u8; 2] { crate::x() }",
        "#[cfg(test)] const X: Y = Y { z: crate::x() };",
        "struct X { #[cfg(test)] x: crate::X<{ 1 }>, }",
        "fn f() { #[cfg(test)] crate::x(); }",
        "fn f() { g(1, #[cfg(test)] crate::x) }",
        "#![cfg(test)] use crate::x; use crate::y;",
    ] {
        let source = format!("{source} use crate::after;");
        let expected: &[&str] = if source.starts_with("#!") {
            &[]
        } else {
            &["after"]
        };
        assert_eq!(read_line(&source), expected, "{source}");
    }
    assert_eq!(read_line("#[cfg(not(test))] use crate::x;"), ["x"]);
    assert_eq!(
        read_line("#[cfg_attr(test, derive(Debug))] use crate::x;"),
        ["x"]
    );
}

#[test]
fn the_modules_of_a_crate_are_found_from_its_root() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, source: &str| {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, source).unwrap();
    };
    write(
        "main.rs",
        "mod a;\nmod inline { mod deep; }\n#[cfg(test)]\nmod tests;\n",
    );
    write("a.rs", "mod b;\n");
    write("a/b.rs", "use crate::inline;\n");
    write("inline/deep/mod.rs", "mod leaf;\n");
    write("inline/deep/leaf.rs", "");
    let tree = SourceTree::read(folder.path()).unwrap();
    let modules: Vec<String> = tree
        .modules
        .iter()
        .map(|module| module.path.join("::"))
        .collect();
    assert_eq!(
        modules,
        [
            "",
            "inline",
            "a",
            "a::b",
            "inline::deep",
            "inline::deep::leaf"
        ]
    );
    let [import] = tree.imports.as_slice() else {
        panic!("{:?}", tree.imports);
    };
    assert_eq!(
        (import.from.join("::"), import.line),
        ("a::b".to_owned(), 1)
    );
    write("a.rs", "mod missing;\n");
    let error = SourceTree::read(folder.path()).unwrap_err().to_string();
    assert!(error.contains("missing.rs"), "{error}");
}
