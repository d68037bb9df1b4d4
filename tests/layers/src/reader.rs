//! Reads the modules of a crate from its root file on, and the paths by which they use one another.

mod item;
mod path;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::token::{Token, TokenKind, tokenize};
use item::{has_test_condition, is_attribute, skip_attribute, skip_item};
use path::read_paths;

/// A use of another module: a `use` declaration, or a path that begins with `crate`, `super` or `self`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The file that contains it.
    pub file: PathBuf,
    /// Its line, counted from 1.
    pub line: usize,
    /// The module that contains it, as segments after `crate`.
    pub from: Vec<String>,
    /// The used item, as segments after `crate`: a module's path, and usually the name of an item in it.
    pub to: Vec<String>,
}

/// A module of production code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file that contains it.
    pub file: PathBuf,
    /// Its path, as segments after `crate`; empty for the crate root.
    pub path: Vec<String>,
}

/// The modules of a crate and the imports between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTree {
    /// All modules, the crate root first.
    pub modules: Vec<Module>,
    /// All imports, in the order of the modules.
    pub imports: Vec<Import>,
}

impl SourceTree {
    /// Reads the crate whose root file (`lib.rs` or `main.rs`) is in the folder `src`.
    ///
    /// # Errors
    /// There is no root file, or the file of a declared module cannot be read.
    pub fn read(src: &Path) -> io::Result<Self> {
        let roots = ["lib.rs", "main.rs"].map(|name| src.join(name));
        let root = roots.into_iter().find(|root| root.is_file());
        let root = root.ok_or_else(|| {
            io::Error::other(format!("no lib.rs or main.rs in `{}`", src.display()))
        })?;
        let mut tree = Self::default();
        tree.read_file(root, src, Vec::new())?;
        Ok(tree)
    }

    /// Reads a file, and the files of the modules that it declares. `folder` is where those are.
    fn read_file(&mut self, file: PathBuf, folder: &Path, path: Vec<String>) -> io::Result<()> {
        let source = fs::read_to_string(&file).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot read `{}`: {error}", file.display()),
            )
        })?;
        for child in self.read_source(&file, path.clone(), &source) {
            let below = child.get(path.len()..).unwrap_or_default();
            let stem = below
                .iter()
                .fold(folder.to_path_buf(), |folder, name| folder.join(name));
            let in_folder = stem.join("mod.rs");
            let file = if in_folder.is_file() {
                in_folder
            } else {
                stem.with_extension("rs")
            };
            self.read_file(file, &stem, child)?;
        }
        Ok(())
    }

    /// Reads the source of the module `path`, and returns the paths of the modules that have files of their own.
    fn read_source(&mut self, file: &Path, path: Vec<String>, source: &str) -> Vec<Vec<String>> {
        let tokens = tokenize(source);
        let mut reader = SourceReader {
            file,
            tokens: &tokens,
            at: 0,
            tree: self,
            children: Vec::new(),
        };
        reader.read_module(path);
        reader.children
    }
}

/// Reads the tokens of one file.
struct SourceReader<'a> {
    file: &'a Path,
    tokens: &'a [Token],
    /// The next token.
    at: usize,
    tree: &'a mut SourceTree,
    /// Modules with files of their own.
    children: Vec<Vec<String>>,
}

impl SourceReader<'_> {
    /// Reads a module up to the brace that closes it, or to the end of the file.
    fn read_module(&mut self, path: Vec<String>) {
        let file = self.file.to_path_buf();
        let names = declared_modules(self.tokens.get(self.at..).unwrap_or_default());
        self.tree.modules.push(Module {
            file,
            path: path.clone(),
        });
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                TokenKind::Sign('#') if is_attribute(self.tokens, self.at) => self.read_attribute(),
                TokenKind::Word(word) if word == "mod" => self.read_mod(&path),
                TokenKind::Sign('{') => {
                    depth += 1;
                    self.at += 1;
                }
                TokenKind::Sign('}') if depth == 0 => return,
                TokenKind::Sign('}') => {
                    depth -= 1;
                    self.at += 1;
                }
                _ => self.read_imports(&path, &names),
            }
        }
    }

    /// Skips an attribute, and what it belongs to if that exists only in tests.
    fn read_attribute(&mut self) {
        let begin = self.at;
        self.at = skip_attribute(self.tokens, begin);
        if has_test_condition(self.tokens.get(begin..self.at).unwrap_or_default()) {
            let is_inner = self
                .tokens
                .get(begin + 1)
                .is_some_and(|next| next.kind == TokenKind::Sign('!'));
            // An inner attribute belongs to the whole file.
            self.at = if is_inner {
                self.tokens.len()
            } else {
                skip_item(self.tokens, self.at)
            };
        }
    }

    /// Reads `mod name;` or `mod name { … }`.
    fn read_mod(&mut self, path: &[String]) {
        self.at += 1;
        let Some(name) = word_at(self.tokens, self.at) else {
            return;
        };
        let child: Vec<String> = path
            .iter()
            .map(String::as_str)
            .chain([name])
            .map(str::to_owned)
            .collect();
        self.at += 1;
        match self.tokens.get(self.at).map(|token| &token.kind) {
            Some(TokenKind::Sign(';')) => self.children.push(child),
            Some(TokenKind::Sign('{')) => {
                self.at += 1;
                self.read_module(child);
                self.at += 1;
            }
            _ => {}
        }
    }

    fn read_imports(&mut self, from: &[String], names: &BTreeSet<String>) {
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        let (paths, next) = read_paths(self.tokens, self.at, from, names);
        self.at = next;
        let file = self.file;
        self.tree.imports.extend(paths.into_iter().map(|to| Import {
            file: file.to_path_buf(),
            line: to.line.unwrap_or(line),
            from: from.to_vec(),
            to: to.segments,
        }));
    }
}

/// Returns the names of the modules that are declared in `tokens`: a `use` may name them without `self`.
fn declared_modules(tokens: &[Token]) -> BTreeSet<String> {
    let declared = tokens.windows(2).filter_map(|pair| match pair {
        [keyword, name] if is_word(keyword, "mod") => word(name),
        _ => None,
    });
    declared.map(str::to_owned).collect()
}

fn word(token: &Token) -> Option<&str> {
    match &token.kind {
        TokenKind::Word(word) => Some(word),
        _ => None,
    }
}

fn word_at(tokens: &[Token], at: usize) -> Option<&str> {
    tokens.get(at).and_then(word)
}

fn is_word(token: &Token, expected: &str) -> bool {
    word(token) == Some(expected)
}

#[cfg(test)]
mod tests;
