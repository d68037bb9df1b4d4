//! Writes the files of a first configuration.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::answers::Answers;
use super::{FILE, yaml};
use crate::command::keygen::make_secret;
use crate::new_file::{Access, create_new};

/// File of the secret that seals sessions.
pub(super) const COOKIE_SECRET: &str = "cookie-secret";
/// File of the client secret.
pub(super) const CLIENT_SECRET: &str = "client-secret";

/// Writes the configuration and its secret files into a folder: all of them, or none.
///
/// # Errors
/// One of them exists or cannot be written, or there is no randomness.
pub(super) fn write(folder: &Path, answers: &Answers) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder `{}`", folder.display()))?;
    let cookie_secret = make_secret()?;
    let absolute = std::path::absolute(folder)
        .with_context(|| format!("cannot resolve `{}`", folder.display()))?;
    let text = yaml::render(answers, &absolute);
    let files: [(&str, Access, &[u8]); 3] = [
        (COOKIE_SECRET, Access::Owner, cookie_secret.as_bytes()),
        (
            CLIENT_SECRET,
            Access::Owner,
            answers.provider.client_secret.expose(),
        ),
        (FILE, Access::Everyone, text.as_bytes()),
    ];
    let mut written: Vec<PathBuf> = Vec::new();
    for (name, access, content) in files {
        let path = folder.join(name);
        if let Err(error) = create_new(&path, access, content) {
            for path in written {
                // The error below is what the user has to know.
                let _ = fs::remove_file(path);
            }
            return Err(error);
        }
        written.push(path);
    }
    Ok(())
}
