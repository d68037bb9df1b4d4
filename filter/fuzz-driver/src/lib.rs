//! Runs fuzz targets in ordinary tests, with a stable compiler: the seeds of a target, and changes of them.
//!
//! A target is a function of bytes that has to end without a panic for any bytes. Its seeds are the files in
//! `filter/fuzz/seeds/NAME`. By default [`run`] tries the same few changed inputs each time; with `JETWAY_FUZZ_SECONDS` it
//! tries others for that long. An input at which the target fails is printed, with the variable that tries it again.
#![forbid(unsafe_code)]

mod changes;
mod input;
mod limits;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use changes::{Changes, Dice};
use input::Plan;
use watch::Watch;

/// Runs a target with its seeds and with changed inputs, as the environment variables say.
///
/// # Panics
/// Panics when the target does, after printing the input, or when the target has no seeds.
pub fn run(name: &str, target: impl FnMut(&[u8])) {
    run_with(name, &[], target);
}

/// Runs a target like [`run`], with further seeds that cannot be files, such as values that are sealed by a key of the test.
///
/// # Panics
/// See [`run`].
pub fn run_with(name: &str, further: &[Vec<u8>], mut target: impl FnMut(&[u8])) {
    let plan = Plan::of_environment();
    let watch = Watch::start(name);
    if let Some(input) = plan.input {
        watch.look_at(&input, || target(&input));
        return;
    }
    let mut seeds = files(name);
    seeds.extend_from_slice(further);
    assert!(!seeds.is_empty(), "the fuzz target `{name}` has no seeds");
    for seed in &seeds {
        attempt(name, seed, &watch, &mut target);
    }
    let first = plan.seed.unwrap_or_else(|| match plan.time {
        None => 0,
        Some(_) => time_seed(),
    });
    let changes = Changes::of(&seeds);
    let end = plan.time.map(|time| Instant::now() + time);
    let mut tried = 0_u64;
    while end.map_or(tried < limits::CASES, |end| Instant::now() < end) {
        let mut dice = Dice::new(first.wrapping_add(tried));
        attempt(name, &changes.input(&mut dice), &watch, &mut target);
        tried += 1;
    }
    println!("fuzz target {name}: {tried} changed inputs from JETWAY_FUZZ_SEED={first} on");
}

fn attempt(name: &str, input: &[u8], watch: &Watch, target: &mut impl FnMut(&[u8])) {
    let outcome = catch_unwind(AssertUnwindSafe(|| watch.look_at(input, || target(input))));
    if let Err(panic) = outcome {
        eprintln!("{}", input::report(name, "fails", input));
        resume_unwind(panic);
    }
}

/// Returns the seeds that are files, in the order of their names.
fn files(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(name);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

/// Returns a seed that differs between runs.
fn time_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs() << 20
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn each_run_tries_the_seed_and_the_same_changes_of_it() {
        let seen = || {
            let inputs = std::cell::RefCell::new(Vec::new());
            super::run_with("none", &[b"{\"a\": 1}".to_vec()], |input| {
                inputs.borrow_mut().push(input.to_vec());
            });
            inputs.into_inner()
        };
        let inputs = seen();
        assert_eq!(inputs[0], b"{\"a\": 1}");
        assert!(inputs[1..].iter().any(|input| *input != inputs[0]));
        if std::env::var_os("JETWAY_FUZZ_SECONDS").is_none() {
            assert_eq!(inputs, seen());
        }
    }

    #[test]
    fn a_panic_of_the_target_is_one_of_the_test() {
        let tried = Cell::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            super::run_with("none", &[b"abc".to_vec()], |input| {
                tried.set(tried.get() + 1);
                assert!(input.len() < 4, "too long");
            });
        }));
        assert!(outcome.is_err());
        assert!(tried.get() > 1);
    }

    #[test]
    #[should_panic(expected = "has no seeds")]
    fn a_target_without_seeds_is_a_mistake() {
        super::run("no-such-target", |_| {});
    }
}
