//! An address that must never be called.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::{Request, Response};

use crate::stub::{Answer, Stub};

/// A server that remembers every request; it answers 200.
pub struct Canary {
    stub: Stub,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Canary {
    /// Starts a canary.
    ///
    /// # Errors
    /// Returns an error when there is no port.
    pub async fn start() -> Result<Self> {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::clone(&calls);
        let answers = move |request: Request<Bytes>| -> Answer {
            let call = format!("{} {}", request.method(), request.uri());
            memory
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(call);
            Box::pin(std::future::ready(Some(Response::new(Bytes::new()))))
        };
        let stub = Stub::start(Arc::new(answers)).await?;
        Ok(Self { stub, calls })
    }

    /// Returns its address, without a path.
    #[must_use]
    pub fn address(&self) -> String {
        self.stub.address()
    }

    /// Checks that there was no request.
    ///
    /// # Errors
    /// Returns an error when there was one.
    pub fn ensure_untouched(&self) -> Result<()> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(calls.is_empty(), "the canary was called: {calls:?}");
        Ok(())
    }
}
