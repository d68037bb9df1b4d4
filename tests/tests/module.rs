//! The module in the binary: its imports and its size.
//!
//! Both have a budget beside the module's source. A new import is a new requirement for every proxy, and each worker of
//! each Envoy compiles the module. So either changes on purpose or not at all.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context as _, Result};
use jetway_tests::{Installed, output_of};
use wasmparser::{Parser, Payload};

const IMPORTS: &str = include_str!("../../filter/imports.txt");
const SIZE_BUDGET: &str = include_str!("../../filter/size-budget.txt");

#[test]
fn it_imports_what_is_listed_and_nothing_else() -> Result<()> {
    let listed: BTreeSet<String> = entries(IMPORTS).map(ToOwned::to_owned).collect();
    let imported = imports(&module()?)?;
    assert_eq!(
        imported, listed,
        "filter/imports.txt lists what the module imports"
    );
    Ok(())
}

#[test]
fn it_fits_its_budget() -> Result<()> {
    let budget: usize = entries(SIZE_BUDGET)
        .next()
        .context("a number of bytes")?
        .parse()?;
    let size = module()?.len();
    assert!(
        size <= budget,
        "the module has {size} bytes, filter/size-budget.txt allows {budget}"
    );
    assert!(
        size > budget / 2,
        "the module has {size} bytes: lower the budget of {budget}, it guards nothing"
    );
    Ok(())
}

fn module() -> Result<Vec<u8>> {
    output_of(Command::new(Installed::locate()?.jetway()?).arg("module"))
}

/// Returns `MODULE.NAME` of every import.
fn imports(module: &[u8]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(section) = payload? else {
            continue;
        };
        for import in section.into_imports() {
            let import = import?;
            found.insert(format!("{}.{}", import.module, import.name));
        }
    }
    Ok(found)
}

/// Returns the lines that are not comments.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}
