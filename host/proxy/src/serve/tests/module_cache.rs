//! Tests of starts with a directory for the compiled module.

use std::path::Path;

use super::*;

/// Starts a proxy with this directory, and checks that it answers.
async fn answers_with(directory: &Path) {
    let upstream = Upstream::start().await;
    let config = read(&file(&[json!({"to": upstream.url()})]));
    let rig = Rig::start_changed(config, |settings| {
        settings.module_cache = Some(directory.to_owned());
    });
    assert_eq!(rig.get("/", 0, "").await.status(), 200);
}

#[tokio::test]
async fn the_second_start_uses_the_module_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("modules");
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&directory).unwrap();
        let entries = entries.map(|entry| entry.unwrap());
        entries
            .map(|entry| {
                (
                    entry.file_name(),
                    entry.metadata().unwrap().modified().unwrap(),
                )
            })
            .collect()
    };
    answers_with(&directory).await;
    let first = files();
    assert_eq!(first.len(), 1, "{first:?}");
    answers_with(&directory).await;
    assert_eq!(files(), first, "the file was read and not written again");
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_does_not_prevent_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    answers_with(&file).await;
}
