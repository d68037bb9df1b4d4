//! Detects inputs at which a target hangs: the target's own thread cannot report them.

use std::process::abort;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::{input, limits};

/// Interval of the checks.
const EVERY: Duration = Duration::from_secs(1);

/// The input that is being tried, and the time when it began.
type Current = Mutex<Option<(Vec<u8>, Instant)>>;

/// Prints the input and aborts the process when a target takes too long.
pub(crate) struct Watch(Arc<Current>);

impl Watch {
    pub(crate) fn start(name: &str) -> Self {
        let current = Arc::new(Current::default());
        let (watched, name) = (Arc::downgrade(&current), name.to_owned());
        thread::spawn(move || watch(&name, &watched));
        Self(current)
    }

    pub(crate) fn look_at<T>(&self, input: &[u8], run: impl FnOnce() -> T) -> T {
        self.set(Some((input.to_vec(), Instant::now())));
        let outcome = run();
        self.set(None);
        outcome
    }

    fn set(&self, value: Option<(Vec<u8>, Instant)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

fn watch(name: &str, current: &Weak<Current>) {
    while let Some(current) = current.upgrade() {
        let now = current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((input, since)) = &*now
            && since.elapsed() > limits::PATIENCE
        {
            eprintln!("{}", input::report(name, "does not end", input));
            abort();
        }
        drop(now);
        drop(current);
        thread::sleep(EVERY);
    }
}
