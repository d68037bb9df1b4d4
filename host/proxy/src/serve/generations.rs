//! What one worker serves with: the configuration in force, and earlier ones for as long as something uses them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Proxy, Stop};
use crate::limits;

/// The generations of one worker. A request belongs to the one that was in force when it came, with its plugin instance:
/// that lives on, and its timer with it, until the last of its requests and websockets has ended.
pub(crate) struct Generations {
    current: RefCell<Rc<Proxy>>,
    /// The oldest first.
    old: RefCell<VecDeque<Rc<Proxy>>>,
    /// The order to stop.
    pub(crate) stop: Stop,
}

impl Generations {
    /// Begins with the first one.
    pub(super) fn new(first: Rc<Proxy>, stop: Stop) -> Rc<Self> {
        first.plugin.serve();
        Rc::new(Self {
            current: RefCell::new(first),
            old: RefCell::default(),
            stop,
        })
    }

    /// The one for what comes now.
    pub(crate) fn current(&self) -> Rc<Proxy> {
        Rc::clone(&self.current.borrow())
    }

    /// Puts the next one in force.
    pub(super) fn replace(&self, next: Rc<Proxy>) {
        next.plugin.serve();
        let old = self.current.replace(next);
        old.retired.order();
        self.old.borrow_mut().push_back(old);
    }

    /// Ends old generations that nobody uses any more, and the oldest when there are too many.
    pub(super) async fn retire(&self) {
        while let Some(old) = self.take_old() {
            old.plugin.shutdown().await;
        }
    }

    fn take_old(&self) -> Option<Rc<Proxy>> {
        let mut old = self.old.borrow_mut();
        if let Some(place) = old.iter().position(is_unused) {
            return old.remove(place);
        }
        if old.len() <= limits::OLD_GENERATIONS {
            return None;
        }
        tracing::warn!(
            "an old configuration was in use through {} newer ones: its websockets and unfinished answers are ended",
            limits::OLD_GENERATIONS
        );
        old.pop_front()
    }

    /// Closes idle connections that are past their age.
    pub(super) fn sweep(&self) {
        self.current().sweep();
        self.old.borrow().iter().for_each(|old| old.sweep());
    }

    /// Ends all of them.
    pub(super) async fn shutdown(&self) {
        let old = std::mem::take(&mut *self.old.borrow_mut());
        for proxy in old {
            proxy.plugin.shutdown().await;
        }
        self.current().plugin.shutdown().await;
    }
}

/// Requests hold their generation until they are decided, and its plugin to their end.
fn is_unused(proxy: &Rc<Proxy>) -> bool {
    Rc::strong_count(proxy) == 1 && Rc::strong_count(&proxy.plugin) == 1
}
