//! The fuzz target `yaml`, run with its seeds and with generated changes of them.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::fuzzing;

const SEEDS: [&str; 2] = [
    include_str!("../../../../filter/fuzz/seeds/yaml/anchors.yaml"),
    include_str!("../../../../filter/fuzz/seeds/yaml/plain.yaml"),
];

#[test]
fn the_seeds_are_accepted() {
    for seed in SEEDS {
        let value = fuzzing::yaml(seed.as_bytes()).unwrap();
        jetway_core::config::Config::read(&value, &|_| None).unwrap();
    }
}

#[test]
fn yaml() {
    jetway_fuzz_driver::run("yaml", |bytes| drop(fuzzing::yaml(bytes)));
}

/// Generates pieces of a seed in another order, with signs in between.
fn shuffled() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(
        &[
            "",
            "\n",
            "  ",
            "- ",
            ": ",
            "? ",
            "&a ",
            "*a",
            "<<: ",
            "|\n",
            ">-\n",
            "[",
            "]",
            "{",
            "}",
            ",",
            "\"",
            "'",
            "#",
            "!!str ",
            "---\n",
            "...\n",
            "\t",
            "\r",
            "~",
            "ä",
            "\u{85}",
            "%YAML 1.2\n",
        ][..],
    );
    let piece = (prop::sample::select(&SEEDS), any::<Index>(), 0..40_usize).prop_map(
        |(seed, begin, length)| {
            let begin = begin.index(seed.chars().count());
            seed.chars().skip(begin).take(length).collect::<String>()
        },
    );
    prop::collection::vec(prop_oneof![sign.prop_map(str::to_owned), piece], 0..24)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_shuffled_seed_ends(text in shuffled()) {
        let _ = fuzzing::yaml(text.as_bytes());
    }
}
