//! `jetway test`.

use anyhow::{Context as _, Result};

use super::jetway;

#[test]
fn cases_that_pass() -> Result<()> {
    let ended = jetway(&["test", "-c", "jetway.yaml", "passing.yaml"])?;
    assert_eq!(ended.out, "9 passed, 0 failed\n", "{}", ended.err);
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.err, "");
    Ok(())
}

#[test]
fn cases_that_fail_are_explained() -> Result<()> {
    let ended = jetway(&["test", "-c", "jetway.yaml", "failing.yaml"])?;
    assert_eq!(ended.out, include_str!("files/failing.txt"));
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.err, "");
    Ok(())
}

/// A decision that depends on an identifier that the case does not give proves nothing.
#[test]
fn a_case_needs_the_identifier_with_which_its_policy_compares() -> Result<()> {
    let ended = jetway(&["test", "-c", "subject.yaml", "subject-cases.yaml"])?;
    let told = ended.out;
    let failure = "FAIL subject-cases.yaml:1  which mallory: the policy compares `user` with the claim `sub`, which `as` does not determine: add `claims: {sub: ID}`\n";
    assert!(told.starts_with(failure), "{told}");
    assert!(told.ends_with("\n2 passed, 1 failed\n"), "{told}");
    assert_eq!(ended.code, Some(1));
    Ok(())
}

#[test]
fn cases_that_cannot_be_read_are_failures_with_their_places() -> Result<()> {
    let ended = jetway(&["test", "-c", "jetway.yaml", "unreadable.yaml"])?;
    let told = ended.out;
    for part in [
        "FAIL unreadable.yaml:1  a typing error: cannot be read: [0].expct: unknown key `expct`",
        "FAIL unreadable.yaml:5  case 2: cannot be read: [1].nme: unknown key `nme`",
        "unreadable.yaml:3:3",
        "did you mean `expect`?",
        "unreadable.yaml:6:12",
        "write `GET`",
        "unreadable.yaml:7:11",
        "`alow` is not a decision",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(told.ends_with("\n0 passed, 2 failed\n"), "{told}");
    assert_eq!(ended.code, Some(1));
    Ok(())
}

#[test]
fn cases_with_their_own_policies_fail_on_one_line_each() -> Result<()> {
    let ended = jetway(&["test", "own-policies.json"])?;
    assert_eq!(ended.out, include_str!("files/own-policies.txt"));
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.err, "");
    Ok(())
}

#[test]
fn their_failures_are_explained_when_asked_for() -> Result<()> {
    let ended = jetway(&["test", "--explain", "own-policies.json"])?;
    let told = ended.out;
    for part in [
        "✗ email: {is: alice@example.com}",
        "own-policies.json:12:53",
        "\n3 passed, 4 failed\n",
    ] {
        assert!(told.contains(part), "{told}");
    }
    Ok(())
}

#[test]
fn the_policy_languages_vectors_pass() -> Result<()> {
    let ended = jetway(&["test", "../../../../filter/core/src/policy/tests/ppl.json"])?;
    let told = ended.out;
    let sum = told.trim_end().split_once(" passed, ");
    let (passed, failed) = sum.with_context(|| told.clone())?;
    assert_eq!(failed, "0 failed");
    assert!(passed.parse::<usize>()? >= 163, "{told}");
    assert_eq!(ended.code, Some(0));
    Ok(())
}

#[test]
fn what_is_no_file_of_cases_is_refused() -> Result<()> {
    for (arguments, part) in [
        (&["jetway.yaml"][..], "not a list of cases"),
        (&["nothing.yaml"], "nothing.yaml"),
        (&["-c", "broken.yaml", "passing.yaml"], "broken.yaml:2:11"),
        (&["-c", "nothing.yaml", "passing.yaml"], "nothing.yaml"),
    ] {
        let ended = jetway(&[&["test"], arguments].concat())?;
        let said = ended.err;
        assert_eq!(ended.code, Some(1), "{arguments:?}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert_eq!(ended.out, "");
    }
    Ok(())
}

#[test]
fn the_help_shows_both_formats() -> Result<()> {
    let help = jetway(&["test", "--help"])?.out;
    for part in ["client_certificate:", "client_cert:", "expect:"] {
        assert!(help.contains(part), "{help}");
    }
    Ok(())
}
