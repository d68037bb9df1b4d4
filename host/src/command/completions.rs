//! `jetway completions`: writes completions for a shell.

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// Write completions for a shell to standard output.
///
/// For bash: jetway completions bash > /usr/share/bash-completion/completions/jetway
/// For zsh: jetway completions zsh > /usr/local/share/zsh/site-functions/_jetway
/// For fish: jetway completions fish > ~/.config/fish/completions/jetway.fish
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: SupportedShell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SupportedShell {
    Bash,
    Zsh,
    Fish,
}

/// Writes the completions.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    super::print(&generate(args.shell))
}

fn generate(shell: SupportedShell) -> Vec<u8> {
    let shell = match shell {
        SupportedShell::Bash => Shell::Bash,
        SupportedShell::Zsh => Shell::Zsh,
        SupportedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    let mut command = crate::args::build_command();
    clap_complete::generate(shell, &mut command, "jetway", &mut script);
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn every_subcommand_is_completed() {
        for shell in SupportedShell::value_variants() {
            let script = String::from_utf8(generate(*shell)).unwrap();
            for below in crate::args::build_command().get_subcommands() {
                let name = below.get_name();
                assert!(script.contains(name), "{shell:?}: {name}");
            }
        }
    }

    /// Shells that are not installed cannot read their script.
    #[test]
    fn the_installed_shells_accept_their_script() {
        let mut checked = Vec::new();
        for (shell, program, option) in [
            (SupportedShell::Bash, "bash", "-n"),
            (SupportedShell::Zsh, "zsh", "-n"),
            (SupportedShell::Fish, "fish", "--no-execute"),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&generate(shell)).unwrap();
            let check = Command::new(program)
                .arg(option)
                .arg(file.path())
                .stdin(Stdio::null())
                .output();
            let Ok(output) = check else { continue };
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program}: {errors}");
            checked.push(program);
        }
        assert!(checked.contains(&"bash"), "{checked:?}");
    }

    #[test]
    fn bash_completes_a_subcommand() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&generate(SupportedShell::Bash)).unwrap();
        let script = r#"
            source "$1"
            COMP_WORDS=(jetway expl) COMP_CWORD=1
            _jetway jetway expl jetway
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let output = Command::new("bash")
            .args(["--norc", "-c", script, "bash"])
            .arg(file.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "explain\n");
    }
}
