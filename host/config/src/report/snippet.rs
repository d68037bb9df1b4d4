//! Renders a finding for people: the message, the place, the line itself with the place underlined, and what to write
//! instead.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use jetway_core::diagnostics::without_userinfo;

use super::{Finding, Severity};
use crate::document::Place;
use crate::redaction::may_hold_a_secret;
use crate::source::Source;
use crate::terminal::printable;

/// Most characters of a line that are shown before the place: deep nesting is indented less.
const MAX_BEFORE: usize = 100;
/// Most characters of a line that are shown from the place on.
const MAX_AFTER: usize = 100;
/// Stands for the part that is cut.
const ELLIPSIS: char = '…';
/// Longest message, in characters: it may repeat strings of the file.
const MAX_MESSAGE: usize = 600;
/// Stands for each character of a secret.
const MASK: char = '*';

/// Renders a finding. `secrets` are the ranges of the source that must not be shown; `None` when they are not known.
pub(super) fn render(
    finding: &Finding,
    source: &Source,
    secrets: Option<&[Range<usize>]>,
    styled: bool,
) -> String {
    let level = match finding.severity {
        Severity::Problem => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let path = without_userinfo(&finding.path);
    let is_named = || finding.message.contains(&format!("`{path}`"));
    let title = if path.is_empty() || finding.place.is_some() || is_named() {
        shorten(&finding.message)
    } else {
        shorten(&format!("{path}: {}", finding.message))
    };
    let name = printable(&source.name);
    let route = finding
        .route
        .as_ref()
        .map(|route| printable(&route.to_string()));
    let help = finding.help.as_deref().map(shorten);
    // A key that holds a password is not among the secrets, which are values.
    let window = finding
        .place
        .filter(|_| path == finding.path)
        .and_then(|place| Window::of(&source.text, place, secrets));

    let mut group = Group::with_title(level.primary_title(title));
    group = match (&window, finding.place) {
        (Some(window), Some(place)) => group.element(
            Snippet::source(window.text.as_str())
                .line_start(to_usize(place.line))
                .path(name.as_str())
                .annotation(AnnotationKind::Primary.span(window.start..window.end)),
        ),
        (None, Some(place)) => group.element(
            Origin::path(name.as_str())
                .line(to_usize(place.line))
                .char_column(to_usize(place.column)),
        ),
        (_, None) => group.element(Origin::path(name.as_str())),
    };
    if let Some(route) = route {
        group = group.element(Level::NOTE.message(route));
    }
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let rendered = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
    match (window, finding.place) {
        (Some(window), Some(place)) if window.is_cut => window.correct(&rendered, &name, place),
        _ => rendered,
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_MESSAGE).collect();
    if short.len() < text.len() {
        short.push(ELLIPSIS);
    }
    printable(&short)
}

/// The part of a line that is shown, with the byte range to underline.
#[derive(Debug, PartialEq)]
struct Window {
    text: String,
    start: usize,
    end: usize,
    /// Whether it begins within the line.
    is_cut: bool,
}

impl Window {
    /// Returns `None` when there is nothing to show, or when the line may contain a secret. Reads no more of the source than
    /// it shows, if the secrets are known.
    fn of(text: &str, place: Place, secrets: Option<&[Range<usize>]>) -> Option<Self> {
        let at = to_usize(place.offset);
        if text.is_empty() || secrets.is_none() && may_hold_a_secret(text, at) {
            return None;
        }
        let (before, after) = text.split_at_checked(at)?;
        let breaks = |c: char| matches!(c, '\n' | '\r');
        let mut left = before.char_indices().rev();
        let mut left = left.by_ref().take_while(|(_, c)| !breaks(*c));
        let begin = left
            .by_ref()
            .take(MAX_BEFORE)
            .last()
            .map_or(at, |(at, _)| at);
        let cut_left = left.next().is_some();
        let mut right = after.char_indices().take_while(|(_, c)| !breaks(*c));
        let last = right.by_ref().take(MAX_AFTER).last();
        let end = last.map_or(at, |(index, c)| at + index + c.len_utf8());
        let cut_right = right.next().is_some();

        let mut window = Self {
            text: String::new(),
            start: 0,
            end: 0,
            is_cut: cut_left,
        };
        window.push_if(cut_left, ELLIPSIS);
        window.push(text, begin..at, secrets);
        window.start = window.text.len();
        let length = after
            .chars()
            .take(to_usize(place.length))
            .map(char::len_utf8);
        let underlined = (at + length.sum::<usize>()).min(end);
        window.push(text, at..underlined, secrets);
        window.end = window.text.len();
        window.push(text, underlined..end, secrets);
        window.push_if(cut_right, ELLIPSIS);
        Some(window)
    }

    /// Replaces the column, which the renderer counts from the window's beginning, by the column in the line.
    fn correct(&self, rendered: &str, name: &str, place: Place) -> String {
        let lead = self.text.get(..self.start).unwrap_or_default();
        let counted = lead.chars().count().saturating_add(1);
        let Place { line, column, .. } = place;
        let (wrong, right) = (
            format!("{name}:{line}:{counted}\n"),
            format!("{name}:{line}:{column}\n"),
        );
        rendered.replacen(&wrong, &right, 1)
    }

    fn push_if(&mut self, condition: bool, c: char) {
        if condition {
            self.text.push(c);
        }
    }

    /// Adds a range of the source with its secrets masked.
    fn push(&mut self, text: &str, range: Range<usize>, secrets: Option<&[Range<usize>]>) {
        let secrets = secrets.unwrap_or_default();
        let begin = range.start;
        for (index, c) in text.get(range).unwrap_or_default().char_indices() {
            let at = begin + index;
            let next = secrets.partition_point(|secret| secret.end <= at);
            let secret = secrets.get(next).is_some_and(|secret| secret.contains(&at));
            self.text.push(if secret { MASK } else { c });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str, offset: u32, length: u32, secrets: &[Range<usize>]) -> Window {
        let place = Place {
            line: 1,
            column: 1,
            offset,
            length,
        };
        Window::of(text, place, Some(secrets)).unwrap()
    }

    #[test]
    fn a_line_is_shown_whole() {
        let found = window("a\r\nname: ä b\nc\n", 9, 3, &[]);
        assert_eq!(found.text, "name: ä b");
        assert_eq!(&found.text[found.start..found.end], "ä b");
    }

    #[test]
    fn a_place_past_the_end_of_a_line_does_not_matter() {
        let found = window("ab\ncd", 2, 9, &[]);
        assert_eq!((found.text.as_str(), found.start, found.end), ("ab", 2, 2));
        let found = window("ab", 2, 1, &[]);
        assert_eq!((found.start, found.end), (2, 2));
        let far = Place {
            line: 9,
            column: 9,
            offset: 99,
            length: 1,
        };
        assert_eq!(Window::of("ab", far, Some(&[])), None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}HERE{}", "é".repeat(1000), "b".repeat(1000));
        let found = window(&text, 2000, 4, &[]);
        assert_eq!(&found.text[found.start..found.end], "HERE");
        assert!(found.text.starts_with('…') && found.text.ends_with('…'));
        assert_eq!(found.text.chars().count(), MAX_BEFORE + MAX_AFTER + 2);
    }

    #[test]
    fn secrets_are_masked_and_the_underline_stays() {
        let text = "a: {k: s3cret, b: wrong}";
        let secrets = std::slice::from_ref(&(7..13));
        let found = window(text, 18, 5, secrets);
        assert_eq!(found.text, "a: {k: ******, b: wrong}");
        assert_eq!(&found.text[found.start..found.end], "wrong");
        let own = window(text, 7, 6, secrets);
        assert_eq!(&own.text[own.start..own.end], "******");
    }

    #[test]
    fn a_long_message_is_cut() {
        assert!(shorten(&"x".repeat(10_000)).len() < 700);
    }
}
