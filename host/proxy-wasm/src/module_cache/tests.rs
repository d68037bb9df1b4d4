//! Tests of the directory for compiled modules.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const PLUGIN: &str = r#"(module (func (export "answer") (result i32) i32.const 42))"#;

struct Rig {
    folder: tempfile::TempDir,
    engine: wasmtime::Engine,
}

impl Rig {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            engine: wasmtime::Engine::default(),
        }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("modules")
    }

    fn cache(&self) -> ModuleCache {
        ModuleCache::open(&self.directory()).unwrap()
    }

    /// Compiles the plugin and checks that it is what it should be.
    fn compile(&self) {
        let wasm = wat::parse_str(PLUGIN).unwrap();
        let module = self.cache().compile(&self.engine, &wasm).unwrap();
        assert!(module.get_export("answer").is_some());
    }

    /// Returns the one file in the directory.
    fn file(&self) -> PathBuf {
        let mut files = files(&self.directory());
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    fn read(&self) -> Result<bool, String> {
        let read = read_module(&self.engine, &self.file());
        read.map(|module| module.is_some())
            .map_err(|error| error.to_string())
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_module_is_compiled_once() {
    let rig = Rig::new();
    rig.compile();
    let written = fs::metadata(rig.file()).unwrap();
    assert_eq!(rig.read(), Ok(true));
    rig.compile();
    let same = fs::metadata(rig.file()).unwrap();
    assert_eq!(
        (same.ino(), same.modified().unwrap()),
        (written.ino(), written.modified().unwrap())
    );
    assert_eq!(written.mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(rig.directory()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn modules_and_settings_have_files_of_their_own() {
    let rig = Rig::new();
    let cache = rig.cache();
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let interrupted = wasmtime::Engine::new(&config).unwrap();
    let names = [
        cache.name(&rig.engine, b"a"),
        cache.name(&rig.engine, b"b"),
        cache.name(&interrupted, b"a"),
    ];
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    assert_eq!(cache.name(&wasmtime::Engine::default(), b"a"), names[0]);
}

#[test]
fn a_damaged_file_is_compiled_again() {
    let rig = Rig::new();
    rig.compile();
    let whole = fs::read(rig.file()).unwrap();
    let last = whole.len() - 1;
    let mut changed = whole.clone();
    changed[last] ^= 1;
    for bytes in [&whole[..last], &whole[..DIGEST], &whole[..3], &[], &changed] {
        fs::write(rig.file(), bytes).unwrap();
        let refused = rig.read().unwrap_err();
        assert!(refused.ends_with("is damaged"), "{refused}");
        rig.compile();
        assert_eq!(rig.read(), Ok(true), "it was written again");
    }
}

#[test]
fn code_under_another_name_is_refused() {
    let rig = Rig::new();
    rig.compile();
    let other = rig.directory().join("other").with_extension(EXTENSION);
    fs::rename(rig.file(), other).unwrap();
    assert!(rig.read().unwrap_err().ends_with("is damaged"));
}

#[test]
fn code_of_other_settings_is_refused_also_under_this_name() {
    let rig = Rig::new();
    rig.compile();
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let interrupted = wasmtime::Engine::new(&config).unwrap();
    let refused = read_module(&interrupted, &rig.file()).map(drop);
    assert!(matches!(refused, Err(ModuleCacheError::Damaged(_))));
}

#[test]
fn what_others_may_write_is_not_used() {
    let rig = Rig::new();
    rig.compile();
    set_mode(&rig.file(), 0o620);
    assert!(rig.read().unwrap_err().contains("chmod go-w"));
    rig.compile();
    assert_eq!(rig.read(), Ok(true), "it was replaced");

    let real = rig.folder.path().join("real");
    fs::rename(rig.file(), &real).unwrap();
    symlink(&real, rig.directory().join("link")).unwrap();
    assert!(rig.read().is_err(), "a link leads to files of others");

    set_mode(&rig.directory(), 0o770);
    let refused = ModuleCache::open(&rig.directory()).unwrap_err();
    assert!(matches!(refused, ModuleCacheError::Owner(_)), "{refused:?}");
}

#[test]
fn a_directory_that_cannot_be_written_costs_only_time() {
    let rig = Rig::new();
    let cache = rig.cache();
    fs::remove_dir(rig.directory()).unwrap();
    fs::write(rig.directory(), "a file").unwrap();
    let wasm = wat::parse_str(PLUGIN).unwrap();
    assert!(cache.compile(&rig.engine, &wasm).is_ok());
    assert!(ModuleCache::open(&rig.directory()).is_err());
}

#[test]
fn the_oldest_modules_are_removed() {
    let rig = Rig::new();
    let cache = rig.cache();
    for number in 0..KEPT + 2 {
        let wasm = wat::parse_str(format!(r#"(module (func (export "f{number}")))"#)).unwrap();
        cache.compile(&rig.engine, &wasm).unwrap();
        // The clock of files is coarse.
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
        let file = File::options()
            .write(true)
            .open(cache.name(&rig.engine, &wasm));
        file.unwrap().set_modified(time).unwrap();
    }
    assert_eq!(files(&rig.directory()).len(), KEPT);
    let left = rig.directory().join(format!("left.1.{UNFINISHED}"));
    File::create(&left)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let unknown = rig.directory().join("unknown");
    fs::write(&unknown, "not from here").unwrap();
    cache.remove_oldest(Path::new("")).unwrap();
    assert!(!left.exists() && unknown.exists());
    let newest = wat::parse_str(format!(r#"(module (func (export "f{}")))"#, KEPT + 1)).unwrap();
    assert!(cache.name(&rig.engine, &newest).exists());
}
