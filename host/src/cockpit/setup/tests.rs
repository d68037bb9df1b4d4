//! Setup and undo on root folders of their own.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::cockpit::{Elevation, Layout, POLKIT_RULE};

const CONF: &str = "/etc/cockpit/cockpit.conf";
const OPERATORS: &str =
    "# ours\n[WebService]\nLoginTo = true\nLoginTitle = Lab\n\n[Session]\nIdleTimeout = 15";

fn deployment<'a>(layout: Layout, hosts: &'a [String]) -> Deployment<'a> {
    Deployment {
        layout,
        hosts,
        keys: "{\"keys\":[]}",
        helper: Path::new("/usr/local/libexec/jetway-cockpit-session"),
        allow_root: false,
        other_hosts: false,
        elevation: None,
    }
}

fn hosts() -> Vec<String> {
    vec!["cockpit.example.com".to_owned()]
}

fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc/systemd/system")).unwrap();
    root
}

fn put(root: &Path, path: &str, text: &str, mode: u32) {
    let path = below(root, path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

fn text(root: &Path, path: &str) -> String {
    std::fs::read_to_string(below(root, path)).unwrap()
}

/// Every file and folder with content and permissions.
fn everything(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            let bytes = if path.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                std::fs::read(&path).unwrap()
            };
            found.insert(path.display().to_string(), (mode, bytes));
        }
    }
    found
}

#[test]
fn undo_restores_everything_byte_for_byte() {
    for layout in [Layout::StaticGroup, Layout::DynamicGroup] {
        for conf in [None, Some(("", 0o644)), Some((OPERATORS, 0o640))] {
            let root = root();
            if let Some((text, mode)) = conf {
                put(root.path(), CONF, text, mode);
            }
            let before = everything(root.path());
            let hosts = hosts();
            let changes = set_up(root.path(), &deployment(layout, &hosts)).unwrap();
            assert_eq!(
                changes.len(),
                if layout == Layout::StaticGroup { 5 } else { 7 }
            );
            assert!(text(root.path(), CONF).contains("[bearer]\nUnixPath = /run/jetway/session\n"));

            let after = everything(root.path());
            assert_eq!(
                set_up(root.path(), &deployment(layout, &hosts)).unwrap(),
                []
            );
            assert_eq!(
                everything(root.path()),
                after,
                "a second setup changes nothing"
            );

            undo(root.path(), || Ok(())).unwrap();
            assert_eq!(everything(root.path()), before);
        }
    }
}

#[test]
fn an_operators_lines_stay() {
    let root = root();
    put(root.path(), CONF, OPERATORS, 0o640);
    let hosts = hosts();
    let changes = set_up(root.path(), &deployment(Layout::StaticGroup, &hosts)).unwrap();
    let written = text(root.path(), CONF);
    for line in [
        "# ours",
        "# LoginTo = true",
        "LoginTitle = Lab",
        "IdleTimeout = 15",
    ] {
        assert!(
            written.lines().any(|other| other == line),
            "{line}: {written}"
        );
    }
    let told = changes.last().unwrap().to_string();
    assert!(
        told.contains("LoginTo = false instead of `LoginTo = true`"),
        "{told}"
    );
    assert_eq!(
        std::fs::metadata(below(root.path(), CONF))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
}

#[test]
fn a_later_setup_keeps_what_was_there_before_the_first() {
    let root = root();
    put(root.path(), CONF, OPERATORS, 0o644);
    let before = everything(root.path());
    let (one, two) = (
        hosts(),
        vec!["a.example".to_owned(), "b.example".to_owned()],
    );
    set_up(root.path(), &deployment(Layout::StaticGroup, &one)).unwrap();
    let changes = set_up(root.path(), &deployment(Layout::DynamicGroup, &two)).unwrap();
    assert!(
        changes.iter().all(|deed| !deed.to_string().contains(CONF)),
        "{changes:?}"
    );
    assert!(
        text(root.path(), "/etc/jetway/cockpit-session.conf")
            .contains("host = a.example b.example\n")
    );
    undo(root.path(), || Ok(())).unwrap();
    assert_eq!(everything(root.path()), before);
}

#[test]
fn what_was_changed_since_is_not_lost() {
    let root = root();
    put(root.path(), CONF, OPERATORS, 0o644);
    let hosts = hosts();
    set_up(root.path(), &deployment(Layout::StaticGroup, &hosts)).unwrap();
    let mut conf = text(root.path(), CONF);
    conf.push_str("\n[Log]\nFatal = criticals\n");
    put(root.path(), CONF, &conf, 0o644);
    let socket = "/etc/systemd/system/jetway-cockpit-session.socket";
    put(root.path(), socket, "mine\n", 0o644);

    let changes = undo(root.path(), || Ok(())).unwrap();
    assert!(
        changes.contains(&FileChange::Kept(socket.to_owned())),
        "{changes:?}"
    );
    assert_eq!(text(root.path(), socket), "mine\n");
    assert_eq!(
        text(root.path(), CONF),
        format!("{OPERATORS}\n\n[Log]\nFatal = criticals\n")
    );
}

#[test]
fn what_was_changed_between_two_setups_is_not_lost() {
    let root = root();
    put(root.path(), CONF, OPERATORS, 0o644);
    let hosts = hosts();
    let deployment = deployment(Layout::StaticGroup, &hosts);
    set_up(root.path(), &deployment).unwrap();
    let conf = text(root.path(), CONF).replace("LoginTo = false", "LoginTo = true");
    put(
        root.path(),
        CONF,
        &format!("{conf}\n[basic]\naction = none\n"),
        0o644,
    );
    for _ in 0..2 {
        set_up(root.path(), &deployment).unwrap();
    }
    assert!(text(root.path(), CONF).contains("LoginTo = false\n"));

    undo(root.path(), || Ok(())).unwrap();
    let left = text(root.path(), CONF);
    assert!(
        left.ends_with("\n[basic]\naction = none\n") && left.contains("\nLoginTo = true\n"),
        "{left}"
    );
}

#[test]
fn the_socket_is_stopped_while_its_unit_is_there_and_nothing_needs_it() {
    let root = root();
    let hosts = hosts();
    set_up(root.path(), &deployment(Layout::DynamicGroup, &hosts)).unwrap();
    let units = below(root.path(), "/etc/systemd/system");
    let names = || {
        let entries = std::fs::read_dir(&units).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".d"))
            .collect();
        names.sort();
        names
    };
    let drop_in = units.join("cockpit-wsinstance-http.service.d/jetway.conf");
    assert!(drop_in.exists());
    undo(root.path(), || {
        assert!(!drop_in.exists());
        assert_eq!(names().len(), 2);
        Ok(())
    })
    .unwrap();
    assert_eq!(names(), Vec::<String>::new());
}

#[test]
fn the_record_is_roots_and_leads_nowhere_else() {
    let root = root();
    let hosts = hosts();
    set_up(root.path(), &deployment(Layout::StaticGroup, &hosts)).unwrap();
    let record = below(root.path(), record::PATH);
    let mode = std::fs::metadata(&record).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let outside = std::fs::read_to_string(&record)
        .unwrap()
        .replace("/etc/cockpit/", "/etc/../../x/");
    std::fs::write(&record, outside).unwrap();
    let refused = undo(root.path(), || unreachable!()).unwrap_err();
    assert!(format!("{refused:#}").contains("/etc/../../x/"));
}

#[test]
fn an_images_links_do_not_lead_out_of_it() {
    let (root, outside) = (root(), tempfile::tempdir().unwrap());
    let folder = below(root.path(), "/etc/cockpit");
    std::os::unix::fs::symlink(outside.path(), &folder).unwrap();
    let hosts = hosts();
    let refused = set_up(root.path(), &deployment(Layout::StaticGroup, &hosts)).unwrap_err();
    assert!(refused.to_string().contains("a symbolic link"), "{refused}");
    assert!(everything(outside.path()).is_empty());

    std::fs::remove_file(&folder).unwrap();
    set_up(root.path(), &deployment(Layout::StaticGroup, &hosts)).unwrap();
    std::fs::rename(&folder, outside.path().join("cockpit")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("cockpit"), &folder).unwrap();
    let before = everything(outside.path());
    let refused = undo(root.path(), || unreachable!()).unwrap_err();
    assert!(refused.to_string().contains("a symbolic link"), "{refused}");
    assert_eq!(everything(outside.path()), before);
}

#[test]
fn logins_to_other_hosts_stay_possible_where_they_are_wanted() {
    let root = root();
    let hosts = hosts();
    let without = deployment(Layout::DynamicGroup, &hosts);
    set_up(root.path(), &without).unwrap();
    assert!(text(root.path(), CONF).contains("LoginTo = false\n"));
    let with = Deployment {
        other_hosts: true,
        ..without
    };
    set_up(root.path(), &with).unwrap();
    assert!(text(root.path(), CONF).contains("\nLoginTo = true\n"));
}

#[test]
fn the_rule_for_polkit_exists_where_it_is_needed() {
    for (elevation, exists) in [
        (None, false),
        (Some(Elevation::Sudo), false),
        (Some(Elevation::None), false),
        (Some(Elevation::Polkit), true),
    ] {
        let root = root();
        let before = everything(root.path());
        let hosts = hosts();
        let deployment = Deployment {
            elevation,
            ..deployment(Layout::DynamicGroup, &hosts)
        };
        set_up(root.path(), &deployment).unwrap();
        assert_eq!(below(root.path(), POLKIT_RULE).exists(), exists);
        undo(root.path(), || Ok(())).unwrap();
        assert_eq!(everything(root.path()), before);
    }
}

#[test]
fn a_setup_without_administrators_takes_the_rule_for_polkit_back() {
    let root = root();
    let before = everything(root.path());
    let hosts = hosts();
    let without = deployment(Layout::DynamicGroup, &hosts);
    let with = Deployment {
        elevation: Some(Elevation::Polkit),
        ..without
    };
    set_up(root.path(), &with).unwrap();
    let changes = set_up(root.path(), &without).unwrap();
    assert_eq!(changes, [FileChange::Removed(POLKIT_RULE.to_owned())]);
    assert!(!below(root.path(), POLKIT_RULE).exists());
    assert_eq!(set_up(root.path(), &without).unwrap(), []);
    undo(root.path(), || Ok(())).unwrap();
    assert_eq!(everything(root.path()), before);
}

#[test]
fn nothing_to_undo_is_an_error() {
    let refused = undo(root().path(), || unreachable!())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("nothing to undo"), "{refused}");
}
