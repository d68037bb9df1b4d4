//! The streams of HTTP/2: tasks of their own, each of which can be ended without harm to the others.

use std::rc::Rc;

use hyper::rt::Executor;

use super::ResponseWatch;
use super::deadline::with_moving_deadline;
use crate::body::Progress;

tokio::task_local! {
    /// The response of the current stream.
    static RESPONSE: ResponseWatch;
}

/// Runs HTTP/2 streams as tasks of this thread. A stream whose response takes too long is dropped, which resets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamExecutor;

impl<F: Future<Output = ()> + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let response = ResponseWatch::default();
        let watch = response.clone();
        tokio::task::spawn_local(RESPONSE.scope(response, async move {
            if with_moving_deadline(stream, || watch.due()).await.is_err() {
                tracing::debug!("stream reset: its response took too long");
            }
        }));
    }
}

/// Watches the response of the current stream. Returns `false` when no stream runs, which is the case in HTTP/1.
pub(super) fn watch_response(response: &Rc<Progress>) -> bool {
    RESPONSE.try_with(|watch| watch.set(response)).is_ok()
}
