//! Compiled modules in a directory, so that a process starts without compiling.
//!
//! Compiled code runs outside the sandbox, so a file is used only when no other account can have written it and it is complete:
//! the directory and the file belong to the account of this process, no other account may write them, and the file begins with
//! the digest of the rest. The name of a file is a digest of everything that the code depends on: the module, wasmtime's version
//! and settings, and the features of the processor.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustix::process::{geteuid, getpid};
use sha2::{Digest as _, Sha256};

/// Ending of the names of files with compiled code.
const EXTENSION: &str = "compiled";
/// Ending of the names of files that are not written completely.
const UNFINISHED: &str = "unfinished";
/// How many modules are kept: the present one, and those of an earlier version or of other settings, to which an operator may
/// return. The oldest are removed.
const KEPT: usize = 4;
/// Longest file that is read, in bytes. The compiled code of a module has a few times its size; the largest plugins have some
/// tens of megabytes.
const MAX_LENGTH: u64 = 512 << 20;
/// Bytes of the digest with which a file begins: SHA-256.
const DIGEST: usize = 32;
/// Permission bits that let accounts other than the owner write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A directory for compiled modules.
#[derive(Clone, Debug)]
pub struct ModuleCache {
    directory: PathBuf,
}

/// A directory or a file of the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModuleCacheError {
    /// The directory or file cannot be created, read or written.
    #[error("cannot use `{}`", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Another account may write the directory or file.
    #[error(
        "`{path}` has to belong to the account of this process and must not be writable by others: `chmod go-w {path}`",
        path = .0.display()
    )]
    Owner(PathBuf),
    /// The file is damaged, or is of another kind.
    #[error("`{}` is damaged", .0.display())]
    Damaged(PathBuf),
}

impl ModuleCache {
    /// Opens a directory, and creates it where it does not exist, for this account alone.
    ///
    /// # Errors
    ///
    /// The directory cannot be created, or another account may write it.
    pub fn open(directory: &Path) -> Result<Self, ModuleCacheError> {
        let failed = |error| ModuleCacheError::File(directory.to_owned(), error);
        check_nearest_ancestor(directory)?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        let metadata = fs::metadata(directory).map_err(failed)?;
        check_owner(directory, &metadata)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// Returns the compiled module from the directory, or compiles it and keeps it there. A directory that cannot be used costs
    /// time and nothing else: the reason is logged.
    pub(crate) fn compile(
        &self,
        engine: &wasmtime::Engine,
        wasm: &[u8],
    ) -> wasmtime::Result<wasmtime::Module> {
        let path = self.name(engine, wasm);
        match read_module(engine, &path) {
            Ok(Some(module)) => return Ok(module),
            Ok(None) => {}
            Err(error) => tracing::warn!("the compiled module is not used: {}", with_cause(&error)),
        }
        let module = wasmtime::Module::from_binary(engine, wasm)?;
        match module.serialize() {
            Err(error) => tracing::warn!("the compiled module is not kept: {error:#}"),
            Ok(code) => {
                if let Err(error) = self.keep(&path, &code) {
                    tracing::warn!("the compiled module is not kept: {}", with_cause(&error));
                }
            }
        }
        Ok(module)
    }

    /// Returns the path of the compiled form of a module.
    fn name(&self, engine: &wasmtime::Engine, wasm: &[u8]) -> PathBuf {
        let mut digest = DigestHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut digest);
        digest.write(wasm);
        let name: String = digest
            .0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.directory.join(name).with_extension(EXTENSION)
    }

    /// Writes compiled code under its name, completely or not at all, and removes the oldest files.
    fn keep(&self, path: &Path, code: &[u8]) -> Result<(), ModuleCacheError> {
        let process = getpid().as_raw_nonzero();
        let unfinished = path.with_extension(format!("{process}.{UNFINISHED}"));
        let written = write_new(&unfinished, &digest_of(path, code), code)
            .and_then(|()| fs::rename(&unfinished, path));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(ModuleCacheError::File(unfinished, error));
        }
        self.remove_oldest(path)
            .map_err(|error| ModuleCacheError::File(self.directory.clone(), error))
    }

    /// Removes all but the newest files, those that were left unfinished by processes that ended while they wrote included. The
    /// file at `present` stays, also when the clock was wrong.
    fn remove_oldest(&self, present: &Path) -> io::Result<()> {
        let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            let is_ours = |extension| extension == EXTENSION || extension == UNFINISHED;
            if path != present && path.extension().is_some_and(is_ours) {
                kept.push((entry.metadata()?.modified()?, path));
            }
        }
        kept.sort_unstable();
        let surplus = kept.len().saturating_sub(KEPT - 1);
        for (_, path) in kept.into_iter().take(surplus) {
            match fs::remove_file(path) {
                // Another process has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// Returns the module in a file; `None` when there is no file.
fn read_module(
    engine: &wasmtime::Engine,
    path: &Path,
) -> Result<Option<wasmtime::Module>, ModuleCacheError> {
    let Some(code) = read_code(path)? else {
        return Ok(None);
    };
    // Wasmtime checks that the code was compiled by the same version for the same settings and features.
    #[expect(
        unsafe_code,
        reason = "the code was written by `keep`: no other account may write the file, and it has its digest"
    )]
    // SAFETY: see the reason.
    let module = unsafe { wasmtime::Module::deserialize(engine, code) };
    module
        .map(Some)
        .map_err(|_| ModuleCacheError::Damaged(path.to_owned()))
}

/// Returns the compiled code in a file; `None` when there is no file.
fn read_code(path: &Path) -> Result<Option<Vec<u8>>, ModuleCacheError> {
    let failed = |error| ModuleCacheError::File(path.to_owned(), error);
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(no_link)
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    check_owner(path, &metadata)?;
    let damaged = || ModuleCacheError::Damaged(path.to_owned());
    if !metadata.is_file() || metadata.len() > MAX_LENGTH {
        return Err(damaged());
    }
    let mut digest = [0; DIGEST];
    file.read_exact(&mut digest).map_err(|_| damaged())?;
    let mut code = Vec::new();
    file.take(MAX_LENGTH)
        .read_to_end(&mut code)
        .map_err(failed)?;
    if digest_of(path, &code) != digest {
        return Err(damaged());
    }
    Ok(Some(code))
}

/// Writes a file that only this account can read. A file of this name, which a process with the same id has left, is replaced.
fn write_new(path: &Path, digest: &[u8; DIGEST], code: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(digest)?;
    file.write_all(code)
}

/// Returns the digest of compiled code and of the name under which it is kept, so that no other file takes its place.
fn digest_of(path: &Path, code: &[u8]) -> [u8; DIGEST] {
    let name = path.file_name().unwrap_or_default();
    Sha256::new_with_prefix(name.as_encoded_bytes())
        .chain_update(code)
        .finalize()
        .into()
}

/// Checks that the nearest directory that exists belongs to this account: below that of another account, nothing is created, and
/// nothing could be trusted.
fn check_nearest_ancestor(directory: &Path) -> Result<(), ModuleCacheError> {
    for ancestor in directory.ancestors().skip(1) {
        match fs::metadata(ancestor) {
            Ok(metadata) if metadata.uid() == geteuid().as_raw() => return Ok(()),
            Ok(_) if directory.exists() => return Ok(()),
            Ok(_) => return Err(ModuleCacheError::Owner(ancestor.to_owned())),
            Err(_) => {}
        }
    }
    Ok(())
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), ModuleCacheError> {
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(ModuleCacheError::Owner(path.to_owned()));
    }
    Ok(())
}

fn with_cause(error: &ModuleCacheError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Passes what is hashed on to a digest that has no collisions.
struct DigestHasher(Sha256);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the digest is taken instead.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
