//! Inputs that are nearly valid: seeds with small changes, and pieces of several seeds.

use crate::limits::MAX_INPUT;

/// Most changes of one input. More of them would destroy its form.
const MAX_CHANGES: usize = 5;
/// Longest piece that is copied, moved or repeated, in bytes.
const MAX_PIECE: usize = 64;
/// Most repetitions of a piece: lists and nestings have limits, which few seeds approach.
const MAX_REPETITIONS: usize = 200;

/// Byte strings with a meaning in some format.
const WORDS: [&[u8]; 44] = [
    b"\0",
    b"\r\n",
    b"\n",
    b"\t",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"/",
    b"//",
    b"..",
    b"%",
    b"%2f",
    b"%00",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[",
    b"{\"a\":",
    b":",
    b",",
    b";",
    b"=",
    b"&",
    b"*",
    b"$",
    b"${",
    b"@",
    b"#",
    b"?",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"null",
    b"true",
    b"\xff\xff\xff\xff",
    b"\x7f",
    b"\x80",
    b"\xc3\xa4",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"-----BEGIN ",
    b"A",
];

/// A small generator of pseudo-random numbers (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a bound, or zero if the bound is zero.
    fn below(&mut self, bound: usize) -> usize {
        let number = self.next() >> 1;
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(number.checked_rem(bound).unwrap_or(0)).unwrap_or(0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "only eight of the bits are needed"
    )]
    fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from.get(self.below(from.len()))
            .copied()
            .unwrap_or_default()
    }
}

/// Makes inputs from seeds.
pub(crate) struct Changes<'s> {
    seeds: Vec<&'s [u8]>,
}

impl<'s> Changes<'s> {
    pub(crate) fn of(seeds: &'s [Vec<u8>]) -> Self {
        Self {
            seeds: seeds.iter().map(Vec::as_slice).collect(),
        }
    }

    /// Returns a seed with some changes.
    pub(crate) fn input(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = dice.pick(&self.seeds).to_vec();
        for _ in 0..=dice.below(MAX_CHANGES) {
            self.change(&mut bytes, dice);
        }
        bytes.truncate(MAX_INPUT);
        bytes
    }

    fn change(&self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(9) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = dice.byte();
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            2 => put(bytes, at, dice.pick(&WORDS)),
            3 => {
                let end = piece(bytes, at, dice).len() + at;
                bytes.splice(at..end, dice.pick(&WORDS).iter().copied());
            }
            4 => {
                let end = piece(bytes, at, dice).len() + at;
                bytes.drain(at..end);
            }
            5 => bytes.truncate(at),
            6 => {
                let copy = piece(bytes, at, dice).to_vec();
                let place = dice.below(bytes.len() + 1);
                put(bytes, place, &copy);
            }
            7 => {
                let times = dice.below(MAX_REPETITIONS);
                let copies = piece(bytes, at, dice).repeat(times);
                put(bytes, at, &copies);
            }
            _ => {
                let other = dice.pick(&self.seeds);
                let from = dice.below(other.len() + 1);
                let copy = piece(other, from, dice).to_vec();
                put(bytes, at, &copy);
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, what: &[u8]) {
    bytes.splice(at..at, what.iter().copied());
}

/// Returns some bytes from a position on.
fn piece<'b>(bytes: &'b [u8], at: usize, dice: &mut Dice) -> &'b [u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    let length = dice.below(MAX_PIECE.min(rest.len()) + 1);
    rest.get(..length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Changes, Dice};
    use crate::limits::MAX_INPUT;

    #[test]
    fn inputs_vary_and_stay_short() {
        let seeds = vec![b"{\"key\": [1, 2]}".to_vec(), vec![b'x'; MAX_INPUT]];
        let changes = Changes::of(&seeds);
        let inputs: Vec<Vec<u8>> = (0..500)
            .map(|seed| changes.input(&mut Dice::new(seed)))
            .collect();
        assert!(inputs.iter().all(|input| input.len() <= MAX_INPUT));
        let mut different = inputs;
        different.sort();
        different.dedup();
        assert!(different.len() > 400, "{}", different.len());
    }

    #[test]
    fn an_empty_seed_does_not_panic() {
        let seeds = vec![Vec::new()];
        let changes = Changes::of(&seeds);
        for seed in 0..200 {
            changes.input(&mut Dice::new(seed));
        }
    }
}
