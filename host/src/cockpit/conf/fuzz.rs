//! The fuzz target of the editor of `cockpit.conf`.

use super::{CockpitConf, Edit};

/// Cockpit takes the value that was set, and every other line stays.
#[test]
fn cockpit_conf() {
    jetway_fuzz_driver::run("cockpit_conf", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let before = CockpitConf::parse(&text);
        assert_eq!(before.text(), text);
        let mut conf = before.clone();
        let wishes = [
            ("WebService", "LoginTo", "false"),
            ("bearer", "UnixPath", "/run/x"),
            ("Session", "Other", "1"),
        ];
        for (section, key, value) in wishes {
            let edit = conf.set(section, key, value);
            assert_eq!(
                conf.value(section, key).map(|written| written.value),
                Some(value)
            );
            assert_eq!(conf.set(section, key, value), Edit::None);
            let lines = |conf: &CockpitConf| conf.text().lines().count();
            assert!(lines(&conf) >= lines(&before));
            if let Edit::Replaced(old) = edit {
                assert!(conf.text().contains(&format!("# {old}")));
            }
        }
        for (section, key, value) in wishes {
            conf.take_back(section, key, value, None);
        }
        let _ = conf.section("WebService");
    });
}
