//! Turns the parser's events into the value and its places, in one pass.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry as Slot;
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

use super::places::{Entry, Node, Places, Shape};
use super::{Document, Place};

/// A value and its place.
pub(super) struct Tree {
    value: Value,
    node: Node,
}

impl Tree {
    pub(super) fn into_document(self) -> Document {
        let value = match self.value {
            Value::Null => Value::Object(Map::new()),
            other => other,
        };
        Document {
            value,
            places: Places::new(self.node),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Content>::deserialize(deserializer)?;
        let Content { value, shape } = spanned.value;
        let place = Place::of(spanned.referenced);
        let shape = match (shape, Place::of(spanned.defined)) {
            (Shape::Leaf, Some(defined)) if place != Some(defined) => Shape::Repeated(defined),
            (shape, _) => shape,
        };
        Ok(Self {
            value,
            node: Node { place, shape },
        })
    }
}

struct Content {
    value: Value,
    shape: Shape,
}

impl Content {
    fn leaf(value: Value) -> Self {
        Self {
            value,
            shape: Shape::Leaf,
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::leaf(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::leaf(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::leaf(Value::Number(value.into())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Content, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Content::leaf(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::leaf(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::leaf(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let (mut values, mut nodes) = (Vec::new(), Vec::new());
        while let Some(Tree { value, node }) = items.next_element()? {
            values.push(value);
            nodes.push(node);
        }
        Ok(Content {
            value: Value::Array(values),
            shape: Shape::List(nodes.into()),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Content, A::Error> {
        let (mut map, mut entries) = (Map::new(), Vec::new());
        while let Some(key) = fields.next_key::<Spanned<String>>()? {
            let Tree { value, node } = fields.next_value()?;
            entries.push(Entry {
                key: key.value.as_str().into(),
                place: Place::of(key.referenced),
                node,
            });
            if let Slot::Vacant(slot) = map.entry(key.value) {
                slot.insert(value);
            }
        }
        Ok(Content {
            value: Value::Object(map),
            shape: Shape::Map(entries.into()),
        })
    }
}
