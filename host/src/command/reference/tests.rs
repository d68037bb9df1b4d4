use super::*;

/// Set to write `REFERENCE.md` anew instead of comparing it.
const WRITE: &str = "JETWAY_WRITE_REFERENCE";

#[test]
fn the_reference_of_the_repository_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../REFERENCE.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, render_reference()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == render_reference(),
        "REFERENCE.md is not what the tables say: run `jetway reference > REFERENCE.md`, or this test with {WRITE}=1"
    );
}

#[test]
fn every_key_has_its_row() {
    let text = render_reference();
    let nested = collect_maps().into_iter().flat_map(|(_, table)| table);
    for key in GLOBAL.iter().chain(ROUTE).chain(nested) {
        assert!(
            text.contains(&format!("\n| `{}` | ", key.name)),
            "{}",
            key.name
        );
    }
}

#[test]
fn objects_have_their_sections() {
    let text = render_reference();
    for title in [
        "Below `downstream_mtls`",
        "Below `redirect`",
        "Below `certificates`",
    ] {
        assert_eq!(text.matches(&format!("## {title}\n")).count(), 1, "{title}");
    }
    assert!(
        !text.contains("Below `policy`"),
        "routes have their own section"
    );
}

#[test]
fn rows_have_as_many_cells_as_their_table() {
    for line in render_reference()
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let cells = line.replace(r"\|", "").matches('|').count() - 1;
        assert!(cells == 4 || cells == 2, "{line}");
    }
}
