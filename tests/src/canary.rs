//! An address that nothing may ever call.

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
    /// Starts one.
    ///
    /// # Errors
    /// When there is no port.
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

    /// Its address, without a path.
    #[must_use]
    pub fn address(&self) -> String {
        self.stub.address()
    }

    /// Checks that nobody has come.
    ///
    /// # Errors
    /// When somebody has.
    pub fn ensure_untouched(&self) -> Result<()> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(calls.is_empty(), "the canary was called: {calls:?}");
        Ok(())
    }
}
