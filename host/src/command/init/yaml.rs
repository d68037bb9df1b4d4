//! The text of a first configuration.

use std::fmt::{self, Display, Write as _};
use std::path::Path;

use super::answers::{Allowed, Answers, ListenerAnswer, UnixUsers};
use super::files::{CLIENT_SECRET, COOKIE_SECRET};

/// Returns the configuration as YAML, with comments. `folder` is the absolute path of the folder with the secret files: a
/// relative path in the file would be relative to the folder in which Jetway is started.
pub(super) fn render(answers: &Answers, folder: &Path) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_file(&mut text, answers, folder);
    text
}

fn write_file(out: &mut String, answers: &Answers, folder: &Path) -> fmt::Result {
    writeln!(
        out,
        "# Written by `jetway init`. `jetway check -c FILE` checks changes; `jetway reference` describes every key."
    )?;
    write_listener(out, &answers.listener)?;
    let provider = &answers.provider;
    writeln!(out, "\nidp_provider: {}", Quoted(&provider.name))?;
    if let Some(url) = &provider.url {
        writeln!(out, "idp_provider_url: {}", Quoted(url))?;
    }
    writeln!(out, "idp_client_id: {}", Quoted(&provider.client_id))?;
    let secret = |name: &str| shown(&folder.join(name));
    writeln!(
        out,
        "idp_client_secret_file: {}",
        Quoted(&secret(CLIENT_SECRET))
    )?;
    writeln!(
        out,
        "# Seals the sessions; a new secret signs every user out."
    )?;
    writeln!(
        out,
        "cookie_secret_file: {}",
        Quoted(&secret(COOKIE_SECRET))
    )?;
    write_route(out, answers)
}

fn write_listener(out: &mut String, listener: &ListenerAnswer) -> fmt::Result {
    match listener {
        ListenerAnswer::Tls(chain, key) => {
            writeln!(out, "address: :443")?;
            writeln!(out, "certificate_file: {}", Quoted(&shown(chain)))?;
            writeln!(out, "certificate_key_file: {}", Quoted(&shown(key)))
        }
        ListenerAnswer::Plain(address) => {
            writeln!(
                out,
                "# A proxy in front terminates TLS and appends to X-Forwarded-For."
            )?;
            writeln!(out, "address: {}", Quoted(address))?;
            writeln!(out, "insecure_server: true")?;
            writeln!(out, "xff_num_trusted_hops: 1")
        }
    }
}

fn write_route(out: &mut String, answers: &Answers) -> fmt::Result {
    writeln!(out, "\nroutes:")?;
    writeln!(
        out,
        "  - from: {}",
        Quoted(&format!("https://{}", answers.host))
    )?;
    writeln!(out, "    to: {}", Quoted(&answers.upstream))?;
    if answers.users.is_none() {
        writeln!(out, "    allow_websockets: true")?;
    }
    writeln!(out, "    policy:\n      - allow:\n          or:")?;
    for one in &answers.allowed {
        let (criterion, value) = match one {
            Allowed::Email(address) => ("email", address),
            Allowed::Domain(domain) => ("domain", domain),
        };
        writeln!(
            out,
            "            - {criterion}:\n                is: {}",
            Quoted(value)
        )?;
    }
    answers
        .users
        .as_ref()
        .map_or(Ok(()), |users| write_users(out, users))
}

fn write_users(out: &mut String, users: &UnixUsers) -> fmt::Result {
    writeln!(
        out,
        "    # The Unix user of each user in Cockpit.\n    cockpit:"
    )?;
    if !users.by_address.is_empty() {
        writeln!(out, "      users:")?;
    }
    for (address, name) in &users.by_address {
        writeln!(out, "        {}: {}", Quoted(address), Quoted(name))?;
    }
    if !users.local_part_of.is_empty() {
        writeln!(out, "      local_part_of:")?;
    }
    for domain in &users.local_part_of {
        writeln!(out, "        - {}", Quoted(domain))?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A string in YAML: plain where that means the same string, else quoted as JSON, which YAML contains.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = self
            .0
            .starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        let is_word = matches!(
            self.0.to_ascii_lowercase().as_str(),
            "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n"
        );
        let is_plain = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '@' | '+' | ':')
        };
        let has_mark = self.0.ends_with(':');
        if begins && !is_word && !has_mark && self.0.chars().all(is_plain) {
            return f.write_str(self.0);
        }
        let quoted = serde_json::to_string(self.0).map_err(|_| fmt::Error)?;
        f.write_str(&quoted)
    }
}
