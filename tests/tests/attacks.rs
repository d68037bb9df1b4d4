//! The manifest of the attacks: every row of `tests/files/attacks.tsv` about tokens, sign-in, return addresses, cookies,
//! leaks, sign-out and websockets, and of the second round (N), is run by a test that is named for it, or is listed here with a
//! reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The table, row by row: id, attack, what to send, what must happen.
const TABLE: &str = include_str!("../files/attacks.tsv");

/// The kinds of rows that are compared: the others (headers, paths, smuggling, exhaustion, start-up) are run by
/// `headers.rs`, `requests.rs`, `timeouts.rs` and their neighbours without their ids.
const KINDS: [char; 8] = ['J', 'F', 'R', 'C', 'L', 'I', 'W', 'N'];

/// Rows that no test runs, and why.
const NOT_RUN: [(&str, &str); 4] = [
    (
        "J-41",
        "keys of the ROCA kind are accepted by choice, see `ACCEPTED` in filter/core/tests/signatures/wycheproof.rs",
    ),
    (
        "C-28",
        "neither body listens without TLS for browsers; `__Host-` cookies are not sent there, and `insecure_server` is for what ends TLS in front",
    ),
    (
        "C-36",
        "tags are compared in constant time by chacha20poly1305; a measurement would prove nothing on a busy machine",
    ),
    (
        "F-41",
        "`prompt=none` is never asked for: sessions are renewed by refresh token only",
    ),
];

#[test]
fn every_attack_is_run_or_has_a_reason() -> Result<()> {
    let rows = rows()?;
    let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources()? {
        for (id, name) in claimed(&std::fs::read_to_string(&file)?) {
            let place = file.strip_prefix(repository()?)?.display().to_string();
            claims
                .entry(id)
                .or_default()
                .push(format!("{place}: {name}"));
        }
    }
    let excused: BTreeMap<&str, &str> = NOT_RUN.into_iter().collect();
    for row in &rows {
        match (claims.get(row), excused.get(row.as_str())) {
            (None, None) => anyhow::bail!("no test is named for {row}, and no reason is given"),
            (Some(tests), Some(_)) => {
                anyhow::bail!("{row} is run, so it needs no reason: {tests:?}")
            }
            _ => {}
        }
    }
    for id in claims
        .keys()
        .map(String::as_str)
        .chain(excused.keys().copied())
    {
        ensure!(
            rows.contains(id),
            "{id} is no row of the table: {:?}",
            claims.get(id)
        );
    }
    Ok(())
}

fn rows() -> Result<BTreeSet<String>> {
    let mut rows = BTreeSet::new();
    for line in TABLE.lines().skip(1) {
        let (id, _) = line
            .split_once('\t')
            .with_context(|| format!("no tab in `{line}`"))?;
        if id.starts_with(KINDS) {
            ensure!(rows.insert(id.to_owned()), "{id} stands twice");
        }
    }
    ensure!(rows.len() > 100, "{} rows", rows.len());
    Ok(rows)
}

/// The rows that the tests of a file are for: by their names, as in `fn j_01_j_03_name`, or by what the first line of their
/// documentation begins with, as in `/// C-30: ...`. That they are run, the compiler sees: a function of a test file that is
/// no test is dead code.
fn claimed(source: &str) -> Vec<(String, String)> {
    let mut claimed = Vec::new();
    let mut told = Vec::new();
    for line in source.lines().map(str::trim_start) {
        let declared = line.strip_prefix("async ").unwrap_or(line);
        if let Some(words) = line.strip_prefix("/// ") {
            told.extend(ids_of_words(words));
        } else if let Some(rest) = declared.strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            let ids = ids_of_name(name).into_iter().chain(told.drain(..));
            claimed.extend(ids.map(|id| (id, name.to_owned())));
        } else if !line.starts_with("#[") {
            told.clear();
        }
    }
    claimed
}

/// `j_01_j_03_name` is for J-01 and J-03.
fn ids_of_name(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('_').collect();
    let pairs = parts.chunks_exact(2).map_while(|pair| {
        id(&format!(
            "{}-{}",
            pair.first()?.to_uppercase(),
            pair.get(1)?
        ))
    });
    pairs.collect()
}

/// `C-30, and ...` is for C-30.
fn ids_of_words(words: &str) -> Option<String> {
    id(words.get(..4)?)
}

fn id(text: &str) -> Option<String> {
    let (kind, number) = text.split_once('-')?;
    let is_id = kind.len() == 1
        && kind.starts_with(KINDS)
        && number.len() == 2
        && number.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| text.to_owned())
}

fn repository() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(folder
        .context("the tests lie in the repository")?
        .to_owned())
}

fn sources() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let repository = repository()?;
    let mut folders: Vec<PathBuf> = [
        "filter/core/src",
        "filter/core/tests",
        "host/config/src",
        "host/demo/src",
        "host/proxy-wasm/src",
        "host/proxy/src",
        "host/src",
        "tests/tests",
    ]
    .iter()
    .map(|folder| repository.join(folder))
    .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "rs")
            {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

#[test]
fn names_are_read_as_they_are_meant() {
    let read =
        |line: &str| -> Vec<String> { claimed(line).into_iter().map(|(id, _)| id).collect() };
    assert_eq!(read("    fn j_01_alg_none() {"), ["J-01"]);
    assert_eq!(
        read("async fn c_19_c_20_odd(scene: &mut Scene) -> Result<()> {"),
        ["C-19", "C-20"]
    );
    assert_eq!(read("/// C-30.\n#[test]\nfn twenty() {"), ["C-30"]);
    assert_eq!(
        read("/// J-56, and others.\n/// More.\nfn a_renewal() {"),
        ["J-56"]
    );
    assert!(read("/// C-30.\nuse this;\nfn other() {").is_empty());
    for other in [
        "fn x_01_a() {",
        "fn j_1_a() {",
        "fn just_01_a() {",
        "// fn j_01_a()",
        "let j_01_a = 1;",
    ] {
        assert!(read(other).is_empty(), "{other}");
    }
}
