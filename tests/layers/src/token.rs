//! Splits Rust source into the few kinds of token that imports consist of.

use std::iter::Peekable;
use std::str::Chars;

/// A token and the line that it is on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) line: usize,
}

/// The kind of a token. Comments, literals and lifetimes are not tokens here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An identifier, a keyword or a number.
    Word(String),
    /// `::`
    PathSeparator,
    /// Any other character.
    Sign(char),
}

/// Splits `source` into tokens.
pub(crate) fn tokenize(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source.chars().peekable(),
        line: 1,
        tokens: Vec::new(),
    };
    while let Some(next) = lexer.advance() {
        lexer.read_token(next);
    }
    lexer.tokens
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn advance(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn advance_if(&mut self, expected: char) -> bool {
        let is_next = self.rest.peek() == Some(&expected);
        if is_next {
            self.advance();
        }
        is_next
    }

    fn push(&mut self, kind: TokenKind) {
        let line = self.line;
        self.tokens.push(Token { kind, line });
    }

    fn read_token(&mut self, first: char) {
        match first {
            '/' if self.advance_if('/') => while self.advance().is_some_and(|next| next != '\n') {},
            '/' if self.advance_if('*') => self.skip_block_comment(),
            '"' => self.skip_string(),
            '\'' => self.skip_quoted(),
            ':' if self.advance_if(':') => self.push(TokenKind::PathSeparator),
            first if is_in_word(first) => self.read_word(first),
            first if first.is_whitespace() => {}
            sign => self.push(TokenKind::Sign(sign)),
        }
    }

    /// Reads a word, or the literal that it is the prefix of, such as `b"…"` or `r#"…"#`.
    fn read_word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(next) = self.rest.next_if(|next| is_in_word(*next)) {
            word.push(next);
        }
        match (word.as_str(), self.rest.peek()) {
            ("r" | "br" | "cr", Some('"' | '#')) => self.skip_raw_string(),
            ("b" | "c", Some('"')) => {
                self.advance();
                self.skip_string();
            }
            ("b", Some('\'')) => {
                self.advance();
                self.skip_quoted();
            }
            _ => self.push(TokenKind::Word(word)),
        }
    }

    /// Skips a raw string from its `#` or `"`. A raw identifier (`r#name`) is read as the identifier that it names.
    fn skip_raw_string(&mut self) {
        let mut hashes = 0_usize;
        while self.advance_if('#') {
            hashes += 1;
        }
        if !self.advance_if('"') {
            return;
        }
        while let Some(next) = self.advance() {
            if next == '"' && (0..hashes).all(|_| self.advance_if('#')) {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        while let Some(next) = self.advance() {
            match next {
                '\\' => drop(self.advance()),
                '"' => return,
                _ => {}
            }
        }
    }

    /// Skips a character literal or a lifetime from the character after its quote.
    fn skip_quoted(&mut self) {
        match self.advance() {
            Some('\\') => {
                self.advance();
                while self.advance().is_some_and(|next| next != '\'') {}
            }
            // Without a closing quote it is a lifetime.
            Some(first) if !self.advance_if('\'') && is_in_word(first) => {
                while self.rest.next_if(|next| is_in_word(*next)).is_some() {}
            }
            _ => {}
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 1_usize;
        while let Some(next) = self.advance() {
            match next {
                '/' if self.advance_if('*') => depth += 1,
                '*' if self.advance_if('/') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

fn is_in_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of `source`, each with its line.
    fn words(source: &str) -> Vec<(String, usize)> {
        let words = tokenize(source)
            .into_iter()
            .filter_map(|token| match token.kind {
                TokenKind::Word(word) => Some((word, token.line)),
                _ => None,
            });
        words.collect()
    }

    #[test]
    fn comments_and_literals_are_no_tokens() {
        for source in [
            "// crate::a\nx",
            "/* crate::a /* nested */\n*/ x",
            "\"crate::a \\\" \n\" x",
            "b\"crate::a\n\" x",
            "r#\"crate::a \"\n\"# x",
            "br\"crate::a \\\n\" x",
            "'\\'' '\\u{41}' b'\"' '\"' 'c' '\n' x",
            "'lifetime '_\nx",
        ] {
            assert_eq!(words(source), [("x".to_owned(), 2)], "{source}");
        }
    }

    #[test]
    fn paths_have_separators() {
        let kinds: Vec<TokenKind> = tokenize("r#a::b: 'c' ;")
            .into_iter()
            .map(|token| token.kind)
            .collect();
        let word = |word: &str| TokenKind::Word(word.to_owned());
        let expected = [
            word("a"),
            TokenKind::PathSeparator,
            word("b"),
            TokenKind::Sign(':'),
            TokenKind::Sign(';'),
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn unfinished_source_ends() {
        for source in ["\"", "'", "'\\", "/*", "r#\"", "b'", "/", "r#"] {
            assert!(tokenize(source).len() <= 1, "{source}");
        }
    }
}
