//! `jetway manual`: writes the manual pages, for packages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

/// Write the manual pages of all commands to a folder.
///
/// For a package: jetway manual usr/share/man/man1
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct ManualArgs {
    /// An existing folder.
    #[arg(value_name = "DIRECTORY")]
    folder: PathBuf,
}

/// Writes one page for each command.
///
/// # Errors
/// The folder does not exist or cannot be written.
pub(crate) fn run(args: &ManualArgs) -> anyhow::Result<()> {
    let command = crate::args::build_command();
    clap_mangen::generate_to(command, &args.folder).with_context(|| {
        let folder = args.folder.display();
        format!("cannot write the manual pages to `{folder}`: name a folder that exists")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let args = ManualArgs {
            folder: folder.path().to_owned(),
        };
        run(&args).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("jetway.1").contains(".SH SUBCOMMANDS"));
        assert!(page("jetway-run.1").contains("drain\\-time"));
        assert!(page("jetway-cockpit-setup.1").contains(".TH"));
    }

    #[test]
    fn a_folder_that_does_not_exist_is_named() {
        let args = ManualArgs {
            folder: PathBuf::from("/no/such/folder"),
        };
        let refused = run(&args).unwrap_err().to_string();
        assert!(refused.contains("`/no/such/folder`"), "{refused}");
    }
}
