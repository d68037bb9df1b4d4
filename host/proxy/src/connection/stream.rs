//! Streams of HTTP/2: tasks of their own, each of which can be ended without harm to the others.

use std::rc::Rc;

use hyper::rt::Executor;

use super::client::Watch;
use super::watched::watched;
use crate::body::Progress;

tokio::task_local! {
    /// The answer of the stream that runs.
    static ANSWER: Watch;
}

/// Runs HTTP/2 streams as tasks of this thread. A stream whose answer takes too long is dropped, which resets it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams;

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let answer = Watch::default();
        let watch = answer.clone();
        tokio::task::spawn_local(ANSWER.scope(answer, async move {
            if watched(stream, || watch.due()).await.is_err() {
                tracing::debug!("a stream was reset: its answer took too long");
            }
        }));
    }
}

/// Watches the answer of the stream that runs; `false` when none does, that is in HTTP/1.
pub(super) fn watch(answer: &Rc<Progress>) -> bool {
    ANSWER.try_with(|watch| watch.set(answer)).is_ok()
}
