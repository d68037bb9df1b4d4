//! Asks for what the options do not say.

use std::io::Write as _;

use anyhow::{Context as _, bail};

/// One question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// The option that answers it as well.
    pub(super) option: &'a str,
    /// The question itself, without a question mark.
    pub(super) text: &'a str,
    /// The answer to an empty line.
    pub(super) default: Option<&'a str>,
}

/// Answers questions.
pub(super) trait Asker {
    /// Returns the answer to a question.
    ///
    /// # Errors
    /// The input ends or cannot be read.
    fn ask(&mut self, question: Question<'_>) -> anyhow::Result<String>;

    /// Returns the answer to a question for a secret, which is not shown while it is typed.
    ///
    /// # Errors
    /// The input ends or cannot be read.
    fn ask_secret(&mut self, question: Question<'_>) -> anyhow::Result<String>;

    /// Ends the questions.
    ///
    /// # Errors
    /// Questions without an answer are left; the error names their options.
    fn finish(&mut self) -> anyhow::Result<()>;
}

/// A user at a terminal.
#[derive(Debug)]
pub(super) struct Terminal;

impl Asker for Terminal {
    fn ask(&mut self, question: Question<'_>) -> anyhow::Result<String> {
        loop {
            let hint = question.default.map(|default| format!(" [{default}]"));
            let mut terminal = std::io::stderr().lock();
            write!(terminal, "{}{}: ", question.text, hint.unwrap_or_default())?;
            terminal.flush()?;
            drop(terminal);
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            if read.context("cannot read the answer")? == 0 {
                bail!("the input ended before every question was answered; nothing was written");
            }
            match (line.trim(), question.default) {
                ("", None) => {}
                ("", Some(default)) => return Ok(default.to_owned()),
                (answer, _) => return Ok(answer.to_owned()),
            }
        }
    }

    fn ask_secret(&mut self, question: Question<'_>) -> anyhow::Result<String> {
        loop {
            let prompt = format!("{} (not shown): ", question.text);
            let secret = rpassword::prompt_password(prompt).context("cannot read the answer")?;
            if !secret.trim().is_empty() {
                return Ok(secret.trim().to_owned());
            }
        }
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// No terminal: questions without a default stay open.
#[derive(Debug, Default)]
pub(super) struct NoTerminal {
    open: Vec<String>,
}

impl Asker for NoTerminal {
    fn ask(&mut self, question: Question<'_>) -> anyhow::Result<String> {
        if question.default.is_none() {
            self.open.push(question.option.to_owned());
        }
        Ok(question.default.unwrap_or_default().to_owned())
    }

    fn ask_secret(&mut self, question: Question<'_>) -> anyhow::Result<String> {
        self.ask(question)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        bail!(
            "there is no terminal to ask at, and these options are missing: {}",
            self.open.join(", ")
        )
    }
}
