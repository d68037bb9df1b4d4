//! Problems and warnings as a person reads them: file, line, column, the line itself and what to write instead.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use jetway_core::config::{Problem, Warning};

use super::document::{Document, Place, SyntaxFault};

/// Most problems shown of one file; past a screenful, nobody reads on.
const MAX_SHOWN: usize = 50;
/// Longest line that is shown, in characters.
const MAX_LINE: usize = 200;
/// Words in a key whose value must not be shown.
const SECRET_WORDS: [&str; 4] = ["secret", "password", "token", "key"];

/// A configuration that cannot be used; displays as the whole report.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub(crate) struct Unusable {
    rendered: String,
}

/// The file that is reported about.
pub(super) struct Report<'a> {
    pub(super) name: String,
    pub(super) text: &'a str,
    /// Whether to use colours.
    pub(super) styled: bool,
}

impl Report<'_> {
    /// A file that cannot be parsed.
    pub(super) fn syntax(&self, fault: &SyntaxFault) -> Unusable {
        let problem = Problem::new("", format!("the file is not valid YAML: {}", fault.message));
        Unusable {
            rendered: self.one(Level::ERROR, &problem, fault.place),
        }
    }

    /// A file whose content cannot be used.
    pub(super) fn problems(
        &self,
        document: &Document,
        problems: &[Problem],
        warnings: &[Warning],
    ) -> Unusable {
        let mut parts: Vec<String> = problems
            .iter()
            .take(MAX_SHOWN)
            .map(|problem| self.at(document, problem))
            .collect();
        if !warnings.is_empty() {
            parts.push(self.warnings(document, warnings));
        }
        let count = problems.len();
        let hidden = count.saturating_sub(MAX_SHOWN);
        let more = if hidden > 0 {
            format!(", {hidden} of them not shown")
        } else {
            String::new()
        };
        let noun = if count == 1 { "problem" } else { "problems" };
        parts.push(format!("{}: {count} {noun}{more}", self.name));
        Unusable {
            rendered: parts.join("\n\n"),
        }
    }

    /// Warnings about a file that can be used; empty without any.
    pub(super) fn warnings(&self, document: &Document, warnings: &[Warning]) -> String {
        let render =
            |warning: &Warning| self.one(Level::WARNING, warning, document.place(&warning.path));
        warnings
            .iter()
            .take(MAX_SHOWN)
            .map(render)
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    fn at(&self, document: &Document, problem: &Problem) -> String {
        self.one(Level::ERROR, problem, document.place(&problem.path))
    }

    fn one(&self, level: Level<'_>, problem: &Problem, place: Option<Place>) -> String {
        let title = if problem.path.is_empty() || place.is_some() {
            problem.message.clone()
        } else {
            format!("{}: {}", problem.path, problem.message)
        };
        let lines: Vec<&str> = self.text.lines().collect();
        let shown = place.and_then(|place| Some((place, *lines.get(place.line.checked_sub(1)?)?)));
        let mut group = Group::with_title(level.primary_title(title.as_str()));
        let window;
        match shown {
            Some((place, line)) if !self.is_secret(&lines, place, problem) => {
                window = Window::of(line, place);
                group = group.element(
                    Snippet::source(window.text.as_str())
                        .line_start(place.line)
                        .path(self.name.as_str())
                        .annotation(AnnotationKind::Primary.span(window.start..window.end)),
                );
            }
            _ => {
                let origin = annotate_snippets::Origin::path(self.name.as_str());
                group = group.element(match place {
                    Some(place) => origin.line(place.line).char_column(place.column),
                    None => origin,
                });
            }
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if self.styled {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }

    /// Whether the line may hold a secret's value: by the problem's own key, the line's, or that of the block around it.
    fn is_secret(&self, lines: &[&str], place: Place, problem: &Problem) -> bool {
        let own = place.line.saturating_sub(1);
        let indent = |line: &str| line.len() - line.trim_start().len();
        let own_line = lines.get(own).copied().unwrap_or_default();
        let above = lines
            .iter()
            .take(own)
            .rev()
            .find(|line| !line.trim().is_empty() && indent(line) < indent(own_line));
        let key_of = |line: &str| {
            line.split_once(':')
                .map_or_else(|| line.to_owned(), |(key, _)| key.to_owned())
        };
        let keys = [
            problem.path.clone(),
            key_of(own_line),
            above.map(|line| key_of(line)).unwrap_or_default(),
        ];
        keys.iter().any(|key| names_a_secret(key))
    }
}

/// Whether a key's value is secret; keys that name a file are not.
fn names_a_secret(key: &str) -> bool {
    let last = key
        .rsplit('.')
        .next()
        .unwrap_or(key)
        .trim()
        .to_ascii_lowercase();
    !last.ends_with("_file") && SECRET_WORDS.iter().any(|word| last.contains(word))
}

/// The part of a line that is shown, with the byte range to underline.
struct Window {
    text: String,
    start: usize,
    end: usize,
}

impl Window {
    fn of(line: &str, place: Place) -> Self {
        let text: String = line.chars().take(MAX_LINE).collect();
        let at = |character: usize| {
            text.char_indices()
                .nth(character)
                .map_or(text.len(), |(byte, _)| byte)
        };
        let first = place.column.saturating_sub(1);
        let (start, end) = (at(first), at(first.saturating_add(place.length)));
        Self { start, end, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, path: &str) -> String {
        let report = Report {
            name: "test.yaml".to_owned(),
            text,
            styled: false,
        };
        let problem = Problem::new(path, "it is wrong").help("write it right");
        let document = Document::parse(text).ok().unwrap();
        report.problems(&document, &[problem], &[]).to_string()
    }

    #[test]
    fn the_line_is_shown_and_underlined() {
        let shown = shown("a: 1\nname: \"ä long\"\nb: 2\n", "name");
        assert!(shown.contains("test.yaml:2:7"), "{shown}");
        assert!(shown.contains("name: \"ä long\""), "{shown}");
        assert!(shown.contains("^^^^^^^^\n"), "{shown}");
        assert!(shown.contains("write it right"), "{shown}");
        assert!(!shown.contains("b: 2"), "{shown}");
    }

    #[test]
    fn secrets_are_not_shown() {
        for text in [
            "cookie_secret: aGVsbG8\n",
            "cookie_secret: >\n  aGVsbG8\n",
            "a: {cookie_secret: aGVsbG8}\n",
        ] {
            let path = if text.starts_with('a') {
                "a.cookie_secret"
            } else {
                "cookie_secret"
            };
            let shown = shown(text, path);
            assert!(!shown.contains("aGVsbG8"), "{shown}");
            assert!(shown.contains("--> test.yaml:"), "{shown}");
        }
    }

    #[test]
    fn a_problem_without_a_place_names_its_path() {
        let shown = shown("a: 1\n", "cookie_secret");
        assert!(shown.contains("cookie_secret: it is wrong"), "{shown}");
    }

    #[test]
    fn a_place_past_the_end_of_a_line_does_not_matter() {
        let window = Window::of(
            "ab",
            Place {
                line: 1,
                column: 9,
                length: 3,
            },
        );
        assert_eq!((window.start, window.end), (2, 2));
    }
}
