//! Colours of pages, and whether text can be read on them.

use std::fmt;

/// A colour of the sRGB space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl Colour {
    /// Black.
    pub const BLACK: Self = Self([0; 3]);
    /// White.
    pub const WHITE: Self = Self([255; 3]);

    /// Reads `#rgb` or `#rrggbb`; `None` for anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let part = |shift: u32, mask: u32| u8::try_from(number >> shift & mask).ok();
        match digits.len() {
            // `#07f` is `#0077ff`.
            3 => Some(Self([
                part(8, 15)? * 17,
                part(4, 15)? * 17,
                part(0, 15)? * 17,
            ])),
            6 => Some(Self([part(16, 255)?, part(8, 255)?, part(0, 255)?])),
            _ => None,
        }
    }

    /// Returns black or white: the one that is easier to read on this colour. Their contrasts multiply to 21, so that the better
    /// one is at least 4.58; WCAG 2.2 (1.4.3) requires 4.5.
    #[must_use]
    pub fn ink(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) {
            Self::WHITE
        } else {
            Self::BLACK
        }
    }

    /// Returns the contrast ratio of two colours, from 1 to 21 (WCAG 2.2).
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Returns the relative luminance (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_are_read_as_in_css() {
        for (text, read) in [
            ("#07f", Some("#0077ff")),
            ("#0B57D0", Some("#0b57d0")),
            ("0b57d0", None),
            ("#0b57d", None),
            ("#+57", None),
            ("#é1", None),
            ("red", None),
            ("#0b57d0ff", None),
            ("#", None),
        ] {
            let colour = Colour::read(text).map(|colour| colour.to_string());
            assert_eq!(colour.as_deref(), read, "{text}");
        }
    }

    #[test]
    fn contrasts_are_those_of_the_guidelines() {
        let grey = Colour::read("#767676").unwrap();
        assert!((Colour::BLACK.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        assert!((grey.contrast(Colour::WHITE) - 4.54).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn ink_can_be_read_on_every_colour(parts: [u8; 3]) {
            let colour = Colour(parts);
            prop_assert!(colour.contrast(colour.ink()) >= 4.5);
        }
    }
}
