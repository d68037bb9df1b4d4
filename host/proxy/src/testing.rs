//! Collects what the code under test logs.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// The log of a test.
#[derive(Clone, Default)]
struct TestLog(Arc<Mutex<Vec<u8>>>);

impl TestLog {
    fn into_text(self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for TestLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for TestLog {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Returns the lines that `work` logs, as JSON.
pub(crate) fn logged(work: impl FnOnce()) -> Vec<serde_json::Value> {
    let log = TestLog::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone());
    tracing::subscriber::with_default(subscriber.finish(), work);
    let text = log.into_text();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns what `work` logs, as text.
pub(crate) fn logged_text(work: impl FnOnce()) -> String {
    let log = TestLog::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone());
    tracing::subscriber::with_default(subscriber.finish(), work);
    log.into_text()
}
