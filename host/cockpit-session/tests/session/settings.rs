//! Mistakes of the operator: the journal names file, line and key; the user's message points to the journal.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;

use crate::{Login, Place};

fn fault(place: &Place, reason: &str) -> Result<()> {
    let login = Login::connect(place, place.session.command(), "")?;
    login.refused_because("internal-error", "its journal says why", reason)
}

#[test]
fn mistakes_in_the_configuration_are_named() -> Result<()> {
    let place = Place::with("allow_roots = true")?;
    let file = place.session.path("session.conf");
    fault(
        &place,
        &format!("`{}`, line 5: unknown key `allow_roots`", file.display()),
    )?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o664))?;
    fault(
        &place,
        &format!("`{}` has to belong to root", file.display()),
    )?;
    std::fs::remove_file(&file)?;
    fault(&place, &format!("`{}` cannot be read", file.display()))
}

#[test]
fn mistakes_in_the_keys_are_named() -> Result<()> {
    let place = Place::new()?;
    let file = place.session.path("keys");
    place.session.trust("{\"keys\": []}")?;
    fault(
        &place,
        &format!("`{}` cannot be used: it has no P-256 key", file.display()),
    )?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666))?;
    fault(
        &place,
        &format!("`{}` has to belong to root", file.display()),
    )
}

#[test]
fn a_folder_for_used_assertions_that_others_can_change_is_refused() -> Result<()> {
    let place = Place::new()?;
    let folder = place.session.path("used");
    std::fs::create_dir(&folder)?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777))?;
    let login = Login::begin(&place, &place.key.assertion("root")?)?;
    let ending = login.refused("internal-error", "journal")?;
    assert!(
        ending.log.contains("has to be a folder of root"),
        "{}",
        ending.log
    );
    Ok(())
}
