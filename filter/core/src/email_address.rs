//! Email addresses and their domains in one canonical form, in which policies, sessions and upstreams compare them.
//!
//! The local part may have letters, marks and digits of any script (RFC 6531), in Unicode's normalization form C. Its case
//! is the mail server's business. A domain is in lower case and in the ASCII form of IDNA (RFC 5891, UTS 46), so that both
//! spellings of a domain are the same: `jörg@MÜLLER.example` is `jörg@xn--mller-kva.example`. An ASCII address keeps
//! everything but the case of its domain.
//!
//! Nothing that is not plain is accepted beside ASCII: no character that has no glyph, that changes the direction, that
//! stands for another one (full-width letters, look-alikes of `@` and `.`), or that Unicode does not know. An address in
//! another normalization form is not accepted either: mail servers and providers may take it for another user's. Two
//! addresses have one canonical form only when they differ in the spelling of their domain.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_normalizer::uts46::Uts46MapperBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest email address in bytes (RFC 5321 section 4.5.3.1: 64 + 1 + 255).
const MAX_EMAIL: usize = 320;

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const MAPPER: Uts46MapperBorrowed<'static> = Uts46MapperBorrowed::new();

/// The beginning of a label in the ASCII form of IDNA.
const ASCII_LABEL: &str = "xn--";

/// Returns the canonical form of an email address; `None` for what cannot be one.
#[must_use]
pub fn canonical_email(email: &str) -> Option<String> {
    let (local, domain) = email.split_once('@')?;
    let is_complete = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
    if email.len() > MAX_EMAIL || !is_complete || domain.ends_with('.') {
        return None;
    }
    let domain = canonical_domain(domain).filter(|_| is_local_part(local))?;
    let canonical = format!("{local}@{domain}");
    (canonical.len() <= MAX_EMAIL).then_some(canonical)
}

/// Returns the canonical form of an email address that a configuration names, in any normalization form. What cannot be an
/// address is compared as it is written, but for the case of its domain; no user has such an address.
#[must_use]
pub(crate) fn normalize_email(email: String) -> String {
    let normal = NFC.normalize(&email);
    canonical_email(&normal).unwrap_or_else(|| match normal.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", fold_domain(domain)),
        None => normal.into_owned(),
    })
}

/// Returns the canonical form of a domain that a configuration names, like [`normalize_email`].
#[must_use]
pub(crate) fn normalize_domain(domain: &str) -> String {
    let folded = fold_domain(domain);
    canonical_domain(&folded).unwrap_or(folded)
}

/// Whether a string can be the local part of an address in canonical form.
fn is_local_part(local: &str) -> bool {
    if local.is_ascii() {
        return local.bytes().all(is_plain_ascii);
    }
    NFC.is_normalized(local) && is_plain(local)
}

/// Returns the canonical form of the domain of an email address; `None` for what cannot be one.
pub(crate) fn canonical_domain(domain: &str) -> Option<String> {
    if domain.is_ascii() {
        let is_plain = domain.bytes().all(is_plain_ascii);
        return is_plain.then(|| domain.to_ascii_lowercase());
    }
    if domain.len() > MAX_EMAIL || !NFC.is_normalized(domain) {
        return None;
    }
    let folded = fold_domain(domain);
    let bytes = folded.as_bytes();
    let rules = AsciiDenyList::STD3;
    let ascii = Uts46::new().to_ascii(bytes, rules, Hyphens::Check, DnsLength::Verify);
    let ascii = ascii.ok()?.into_owned();
    // Only what is left as it is by the mapping of UTS 46: it makes full-width letters into ASCII letters, for example.
    (is_plain(&folded) && unicode_domain(&ascii) == unicode_domain(&folded)).then_some(ascii)
}

/// Returns a domain, or a part of one, in lower case and in normalization form C.
pub(crate) fn fold_domain(domain: &str) -> String {
    if domain.is_ascii() {
        return domain.to_ascii_lowercase();
    }
    // Character by character: the lower case of a string has a special form for the last sigma of a word.
    let lower: String = domain.chars().flat_map(char::to_lowercase).collect();
    NFC.normalize(&lower).into_owned()
}

/// Returns a part of a domain that a configuration names: in ASCII as it is compared with both spellings of a canonical
/// domain, else as it is compared with [`spell_in_unicode`].
pub(crate) fn fold_domain_part(part: &str) -> String {
    let folded = fold_domain(part);
    if folded.is_ascii() {
        return folded;
    }
    unicode_domain(&folded).into_owned()
}

/// Returns a canonical address or domain with the labels of its domain in Unicode.
pub(crate) fn spell_in_unicode(address: &str) -> Cow<'_, str> {
    if !address.contains(ASCII_LABEL) {
        return Cow::Borrowed(address);
    }
    match address.rsplit_once('@') {
        Some((local, domain)) => Cow::Owned(format!("{local}@{}", unicode_domain(domain))),
        None => unicode_domain(address),
    }
}

/// Returns a part of an address that a configuration names: in ASCII as it is compared with a canonical address, else as it
/// is compared with [`spell_in_unicode`]. What follows an `@` is of the domain.
pub(crate) fn fold_part(part: &str) -> String {
    match part.rsplit_once('@') {
        Some((local, domain)) if part.is_ascii() => format!("{local}@{}", fold_domain(domain)),
        Some((local, domain)) => {
            let domain = fold_domain(domain);
            format!("{}@{}", NFC.normalize(local), unicode_domain(&domain))
        }
        None => NFC.normalize(part).into_owned(),
    }
}

/// Returns a domain in Unicode. A label that is none of IDNA's stays as it is.
fn unicode_domain(domain: &str) -> Cow<'_, str> {
    if !domain.contains(ASCII_LABEL) {
        return Cow::Borrowed(domain);
    }
    let labels = domain.split('.').map(|label| {
        let rules = AsciiDenyList::STD3;
        let (unicode, result) = Uts46::new().to_unicode(label.as_bytes(), rules, Hyphens::Check);
        result.map_or(Cow::Borrowed(label), |()| unicode)
    });
    Cow::Owned(labels.collect::<Vec<_>>().join("."))
}

/// Whether a byte can be in an ASCII address: nothing that could end a line or a list.
const fn is_plain_ascii(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'<' | b'>' | b'(' | b')' | b';')
}

/// Whether a string in normalization form C has plain characters only, and each mark has a letter that it belongs to.
fn is_plain(string: &str) -> bool {
    let mut can_carry_mark = false;
    string.chars().all(|character| {
        let is_mark = is_mark(character);
        let is_plain = match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => is_plain_ascii(byte),
            _ => is_plain_beyond_ascii(character) && (can_carry_mark || !is_mark),
        };
        can_carry_mark = character.is_ascii_alphanumeric() || !character.is_ascii();
        is_plain
    })
}

/// Whether a character beside ASCII is a letter, a mark or a digit that stands for itself.
fn is_plain_beyond_ascii(character: char) -> bool {
    let is_letter_or_digit = matches!(
        category(character),
        GeneralCategory::UppercaseLetter
            | GeneralCategory::LowercaseLetter
            | GeneralCategory::TitlecaseLetter
            | GeneralCategory::ModifierLetter
            | GeneralCategory::OtherLetter
            | GeneralCategory::DecimalNumber
    );
    (is_letter_or_digit || is_mark(character)) && is_unmapped(character)
}

/// Whether UTS 46 maps a character to nothing but its lower case. It maps compatibility characters to those that they
/// stand for, and characters without a glyph to nothing.
fn is_unmapped(character: char) -> bool {
    let lower: String = character.to_lowercase().collect();
    let lower = NFC.normalize(&lower);
    MAPPER
        .map_normalize(std::iter::once(character))
        .eq(lower.chars())
}

fn is_mark(character: char) -> bool {
    matches!(
        category(character),
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark
    )
}

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

#[cfg(test)]
mod tests;
