//! The table of attacks, `tests/files/attacks.tsv`, and the tests that run them. Its last column names the tests of a row, or
//! gives the reason why there is none. The names are compared with the tests that their programs list, so that a row whose
//! test is removed, renamed or ignored fails, as does a test whose name has the id of a row that does not name it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use jetway_tests::output_of;

/// The table, row by row: id, attack, what is sent, what must happen, tests.
const TABLE: &str = include_str!("../files/attacks.tsv");

/// The kinds of rows that need a test: tokens, sign-in, return addresses, cookies, sign-out, leaks, websockets, and the second
/// round. `headers.rs`, `requests.rs`, `timeouts.rs` and their neighbours run the rows of other kinds; their names have no ids.
const KINDS: [char; 8] = ['J', 'F', 'R', 'C', 'L', 'I', 'W', 'N'];

/// The beginning of the last column in a row without tests. The reason follows.
const NO_TEST: &str = "none: ";

/// The contents of the last column of a row.
#[derive(Debug, PartialEq, Eq)]
enum Coverage<'t> {
    /// The names of the row's tests: a test function, or the scenario of two tests.
    Tests(Vec<&'t str>),
    /// The reason why no test runs the row.
    Reason(&'t str),
}

/// The rows of the kinds that need a test, by id.
type Rows<'t> = BTreeMap<&'t str, Coverage<'t>>;

#[test]
fn every_attack_has_a_test_that_runs_or_a_reason() -> Result<()> {
    let rows = read_rows(TABLE)?;
    ensure!(rows.len() > 100, "only {} rows", rows.len());
    compare(&rows, &listed_tests()?)
}

/// Compares the table with the paths of the tests, which are not ignored.
fn compare(rows: &Rows<'_>, paths: &[String]) -> Result<()> {
    let names: Vec<&str> = paths.iter().flat_map(|path| path.split("::")).collect();
    for (id, coverage) in rows {
        let Coverage::Tests(tests) = coverage else {
            continue;
        };
        for test in tests {
            ensure!(
                names.contains(test),
                "{id} names the test `{test}`, which is not run"
            );
        }
    }
    for name in names {
        for id in ids_in(name) {
            let coverage = rows
                .get(id.as_str())
                .with_context(|| format!("`{name}` has the id {id}, which is not in the table"))?;
            ensure!(
                matches!(coverage, Coverage::Tests(tests) if tests.contains(&name)),
                "`{name}` has the id {id}, whose row does not name it: {coverage:?}"
            );
        }
    }
    Ok(())
}

fn read_rows(table: &str) -> Result<Rows<'_>> {
    let mut rows = Rows::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [id, _, _, _, tests] = fields[..] else {
            anyhow::bail!("not five fields: `{line}`");
        };
        if !id.starts_with(KINDS) {
            continue;
        }
        let coverage = match tests.strip_prefix(NO_TEST) {
            Some(reason) => Coverage::Reason(reason),
            None => Coverage::Tests(tests.split_whitespace().collect()),
        };
        ensure!(
            !matches!(&coverage, Coverage::Tests(tests) if tests.is_empty()),
            "{id} names no test and gives no reason"
        );
        ensure!(rows.insert(id, coverage).is_none(), "duplicate id {id}");
    }
    Ok(rows)
}

/// Returns the ids at the beginning of a test's name: J-01 and J-03 for `j_01_j_03_name`.
fn ids_in(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('_').collect();
    let pairs = parts.chunks_exact(2).map_while(|pair| {
        let [kind, number] = pair else { return None };
        let kind = kind.to_uppercase();
        let is_id = kind.len() == 1
            && kind.starts_with(KINDS)
            && number.len() == 2
            && number.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then(|| format!("{kind}-{number}"))
    });
    pairs.collect()
}

/// Returns the paths of the tests of the workspace that are not ignored, as their programs list them. `make test` builds all
/// of these programs into one folder before it runs the first.
fn listed_tests() -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for program in newest_test_programs()? {
        let ignored = list_tests(&program, &["--ignored"])?;
        let all = list_tests(&program, &[])?;
        paths.extend(all.into_iter().filter(|path| !ignored.contains(path)));
    }
    Ok(paths)
}

/// Returns the test programs of the last build. The folder has those of earlier builds, too: of several programs that were
/// built from the same file, the newest counts.
fn newest_test_programs() -> Result<Vec<PathBuf>> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a test program is in a folder")?;
    let mut newest: BTreeMap<String, (SystemTime, PathBuf)> = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let program = entry?.path();
        let Some(source) = main_source(&program) else {
            continue;
        };
        if !is_test_program(&program)? {
            continue;
        }
        let built = std::fs::metadata(&program)?.modified()?;
        let is_older = newest.get(&source).is_some_and(|(known, _)| *known > built);
        if !is_older {
            newest.insert(source, (built, program));
        }
    }
    Ok(newest.into_values().map(|(_, program)| program).collect())
}

/// Returns the file that a program was built from: the first source in the list that the compiler writes beside it.
fn main_source(program: &Path) -> Option<String> {
    let list = std::fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, sources) = list.lines().next()?.split_once(": ")?;
    sources.split(' ').next().map(str::to_owned)
}

/// Returns whether a file is a program that was built with the harness of tests: it has the help of the harness in it. Other
/// programs are never started.
fn is_test_program(path: &Path) -> Result<bool> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || path.extension().is_some() || metadata.mode() & 0o100 == 0 {
        return Ok(false);
    }
    let found = Command::new("grep")
        .args(["--quiet", "--text", "--fixed-strings", "-e", "nocapture"])
        .arg(path)
        .status()?;
    Ok(found.success())
}

fn list_tests(program: &Path, options: &[&str]) -> Result<Vec<String>> {
    let mut list = Command::new(program);
    list.args(["--list", "--format", "terse"]).args(options);
    let output = String::from_utf8(output_of(&mut list)?)?;
    let tests = output
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    Ok(tests.map(str::to_owned).collect())
}

#[test]
fn a_row_and_its_tests_name_each_other() -> Result<()> {
    let table = "id\tattack\tsend\texpect\ttests\n\
                 J-01\ta\tb\tc\tj_01_j_03_name other\n\
                 J-03\ta\tb\tc\tj_01_j_03_name\n\
                 C-28\ta\tb\tc\tnone: by choice\n\
                 H-01\ta\tb\tc\t\n";
    let rows = read_rows(table)?;
    let compare = |paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        compare(&rows, &paths).map_err(|error| error.to_string())
    };
    let good = ["tests::j_01_j_03_name", "other::host", "more"];
    assert_eq!(compare(&good), Ok(()));
    for (paths, expected) in [
        (&good[..1], "J-01 names the test `other`, which is not run"),
        (
            &[good[0], good[1], "c_28_name"],
            "`c_28_name` has the id C-28, whose row does not name it: Reason(\"by choice\")",
        ),
        (
            &[good[0], good[1], "r_99_name::host"],
            "`r_99_name` has the id R-99, which is not in the table",
        ),
    ] {
        assert_eq!(compare(paths), Err(expected.to_owned()), "{paths:?}");
    }
    Ok(())
}

#[test]
fn a_row_needs_an_id_of_its_own_and_tests_or_a_reason() {
    for (rows, expected) in [
        ("J-01\ta\tb\tc\t", "J-01 names no test and gives no reason"),
        ("J-01\ta\tb\tc\tx\nJ-01\ta\tb\tc\ty", "duplicate id J-01"),
        ("J-01\ta\tb\tc", "not five fields: `J-01\ta\tb\tc`"),
    ] {
        let error = read_rows(&format!("header\n{rows}")).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn only_ids_at_the_beginning_of_a_name_count() {
    assert_eq!(ids_in("c_19_c_20_odd"), ["C-19", "C-20"]);
    for other in ["x_01_a", "j_1_a", "just_01_a", "a_j_01_b"] {
        assert_eq!(ids_in(other), [""; 0], "{other}");
    }
}
