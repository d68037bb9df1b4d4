//! The places of a document's keys and values, by path.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::Place;

/// The places of a whole document.
#[derive(Debug)]
pub(crate) struct Places {
    root: Node,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Option<Place>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    /// A string, number, boolean or null.
    Leaf,
    /// A leaf that an alias or a merge key repeats, and the place where it is written.
    Repeated(Place),
    List(Box<[Node]>),
    Map(Box<[Entry]>),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<str>,
    pub(super) place: Option<Place>,
    pub(super) node: Node,
}

/// The place to which a path leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Location {
    /// The key, or the item of a list.
    pub(crate) key: Place,
    /// The value, if it is a leaf: a whole block is better shown by its key.
    pub(crate) value: Option<Place>,
    /// Whether the whole path exists. Otherwise this is the place of its last part that does.
    pub(crate) complete: bool,
}

/// A key that occurs again in one map.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) first: Place,
}

impl Places {
    pub(super) fn new(root: Node) -> Self {
        Self { root }
    }

    /// Finds a path such as `routes[0].policy[0].allow.or[1].email`, or the longest part of it that exists.
    pub(crate) fn locate(&self, path: &str) -> Option<Location> {
        let mut node = &self.root;
        let mut rest = path;
        let mut found: Option<Location> = None;
        while !rest.is_empty() {
            let Some(step) = node.step(rest) else {
                return found.map(|location| Location {
                    complete: false,
                    ..location
                });
            };
            found = step.locate().or(found);
            (node, rest) = (step.node, step.rest);
        }
        found
    }

    /// Returns the duplicate keys, at most `most` of them, in the order of the source.
    pub(crate) fn find_duplicates(&self, most: usize) -> Vec<Duplicate> {
        let mut found = Vec::new();
        self.root
            .find_duplicates(&mut String::new(), most, &mut found);
        found
    }

    /// Returns the places of all leaves, each with a state that starts as `root` and to which `enter` applies each key
    /// around the leaf, from the outside in.
    pub(crate) fn collect_values<R: Copy>(
        &self,
        root: R,
        enter: &dyn Fn(R, &str) -> R,
    ) -> Vec<(Place, R)> {
        let mut found = Vec::new();
        self.root.collect_values(root, enter, &mut found);
        found
    }
}

/// One step along a path.
struct Step<'a, 'p> {
    node: &'a Node,
    rest: &'p str,
    key: Option<Place>,
}

impl Step<'_, '_> {
    fn locate(&self) -> Option<Location> {
        let value = self.node.place.filter(|_| self.node.is_leaf());
        Some(Location {
            key: self.key.or(value)?,
            value,
            complete: true,
        })
    }
}

impl Node {
    fn is_leaf(&self) -> bool {
        matches!(self.shape, Shape::Leaf | Shape::Repeated(_))
    }

    /// Takes one `key` or `[number]` from the front of a path.
    fn step<'a, 'p>(&'a self, path: &'p str) -> Option<Step<'a, 'p>> {
        match &self.shape {
            Shape::List(items) => {
                let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
                let node = items.get(number.parse::<usize>().ok()?)?;
                Some(Step {
                    node,
                    rest: rest.strip_prefix('.').unwrap_or(rest),
                    key: node.place,
                })
            }
            Shape::Map(entries) => {
                let (entry, rest) = best_entry(entries, path)?;
                Some(Step {
                    node: &entry.node,
                    rest,
                    key: entry.place,
                })
            }
            Shape::Leaf | Shape::Repeated(_) => None,
        }
    }

    fn find_duplicates(&self, path: &mut String, most: usize, found: &mut Vec<Duplicate>) {
        let length = path.len();
        match &self.shape {
            Shape::Leaf | Shape::Repeated(_) => {}
            Shape::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    // Writing to a string cannot fail.
                    let _ = write!(path, "[{index}]");
                    item.find_duplicates(path, most, found);
                    path.truncate(length);
                }
            }
            Shape::Map(entries) => {
                let mut seen: HashMap<&str, Option<Place>> = HashMap::with_capacity(entries.len());
                for entry in entries {
                    let dot = if length == 0 { "" } else { "." };
                    let _ = write!(path, "{dot}{}", entry.key);
                    let earlier = seen.get(&*entry.key).copied();
                    if let (Some(Some(first)), Some(place)) = (earlier, entry.place)
                        && found.len() < most
                    {
                        found.push(Duplicate {
                            path: path.clone(),
                            key: entry.key.to_string(),
                            place,
                            first,
                        });
                    }
                    seen.entry(&entry.key).or_insert(entry.place);
                    entry.node.find_duplicates(path, most, found);
                    path.truncate(length);
                }
            }
        }
    }

    fn collect_values<R: Copy>(
        &self,
        around: R,
        enter: &dyn Fn(R, &str) -> R,
        found: &mut Vec<(Place, R)>,
    ) {
        match &self.shape {
            Shape::Leaf => found.extend(self.place.map(|place| (place, around))),
            Shape::Repeated(written) => found.push((*written, around)),
            Shape::List(items) => {
                for item in items {
                    item.collect_values(around, enter, found);
                }
            }
            Shape::Map(entries) => {
                for entry in entries {
                    let inside = enter(around, &entry.key);
                    entry.node.collect_values(inside, enter, found);
                }
            }
        }
    }
}

/// Returns the entry with which a path begins. Keys may contain dots and brackets (`claim/https://a.b/c`), so that the
/// longest match wins. Keys are case-insensitive, as in Pomerium, but the same spelling wins over another, and the first
/// entry over later ones.
fn best_entry<'a, 'p>(entries: &'a [Entry], path: &'p str) -> Option<(&'a Entry, &'p str)> {
    let mut best: Option<((usize, bool), &Entry, &str)> = None;
    for entry in entries {
        let Some(rest) = after_key(path, &entry.key) else {
            continue;
        };
        let same = path.starts_with(&*entry.key);
        if same && rest.is_empty() {
            return Some((entry, rest));
        }
        let rank = (entry.key.len(), same);
        if best.is_none_or(|(other, ..)| rank > other) {
            best = Some((rank, entry, rest));
        }
    }
    best.map(|(_, entry, rest)| (entry, rest))
}

/// Returns the part of a path that follows `key`, if the path begins with it as a whole step.
fn after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    // Most keys of a large map have another length: this check rules them out without a comparison.
    let next = match path.as_bytes().get(key.len()) {
        Some(b'.') => key.len() + 1,
        Some(b'[') | None => key.len(),
        Some(_) => return None,
    };
    let head = path.get(..key.len())?;
    head.eq_ignore_ascii_case(key)
        .then(|| path.get(next..).unwrap_or_default())
}
