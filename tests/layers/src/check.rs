//! Checks imports against a list of layers.

use std::io;
use std::path::Path;

use crate::reader::{Import, Module, SourceTree};

/// Reads the crate in the folder `src` and returns what violates `layers`, one line each; see [`find_violations`].
///
/// # Errors
/// A source file cannot be read.
pub fn check_layers(src: &Path, layers: &[&[&str]]) -> io::Result<Vec<String>> {
    Ok(find_violations(&SourceTree::read(src)?, layers))
}

/// Returns what violates `layers`, which lists the modules of each layer from the bottom up: an import from the own layer or a
/// higher one, a module that is in no layer, and a listed module that does not exist.
///
/// A listed path such as `http` or `http::path` includes the modules below it that are not listed themselves. The crate root
/// is above all layers: it may import everything, and nothing may import its items.
#[must_use]
pub fn find_violations(tree: &SourceTree, layers: &[&[&str]]) -> Vec<String> {
    let layers = Layers::new(layers);
    let modules = tree
        .modules
        .iter()
        .filter_map(|module| layers.check_module(module));
    let imports = tree
        .imports
        .iter()
        .filter_map(|import| layers.check_import(import));
    modules
        .chain(imports)
        .chain(layers.find_unknown(&tree.modules))
        .collect()
}

/// The listed modules with the heights of their layers.
struct Layers<'a> {
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    name: &'a str,
    segments: Vec<&'a str>,
    height: usize,
}

impl<'a> Layers<'a> {
    fn new(layers: &[&[&'a str]]) -> Self {
        let members = layers.iter().enumerate().flat_map(|(height, layer)| {
            layer.iter().map(move |name| Member {
                name,
                segments: name.split("::").collect(),
                height,
            })
        });
        Self {
            members: members.collect(),
        }
    }

    /// Returns the most specific listed module that contains `path`.
    fn find(&self, path: &[String]) -> Option<&Member<'a>> {
        let containing = self.members.iter().filter(|member| {
            path.len() >= member.segments.len()
                && member
                    .segments
                    .iter()
                    .zip(path)
                    .all(|(listed, segment)| listed == segment)
        });
        containing.max_by_key(|member| member.segments.len())
    }

    fn check_module(&self, module: &Module) -> Option<String> {
        let is_listed = module.path.is_empty() || self.find(&module.path).is_some();
        (!is_listed).then(|| {
            format!(
                "{}: the module `{}` is in no layer",
                module.file.display(),
                module.path.join("::")
            )
        })
    }

    fn check_import(&self, import: &Import) -> Option<String> {
        // Without a layer, the module itself is reported.
        let from = self.find(&import.from)?;
        let reason = match self.find(&import.to) {
            None => "an item of the crate root, which is above all layers".to_owned(),
            Some(to) if to.name == from.name || to.height < from.height => return None,
            Some(to) if to.height == from.height => format!("`{}` is in the same layer", to.name),
            Some(to) => format!("`{}` is in a higher layer", to.name),
        };
        let (file, line) = (import.file.display(), import.line);
        Some(format!(
            "{file}:{line}: `{}` imports `crate::{}`: {reason}",
            from.name,
            import.to.join("::")
        ))
    }

    fn find_unknown(&self, modules: &[Module]) -> Vec<String> {
        let unknown = self.members.iter().filter(|member| {
            !modules
                .iter()
                .any(|module| module.path.iter().eq(member.segments.iter().copied()))
        });
        unknown
            .map(|member| format!("the listed module `{}` does not exist", member.name))
            .collect()
    }
}

#[cfg(test)]
mod tests;
