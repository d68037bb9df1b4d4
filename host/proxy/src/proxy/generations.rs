//! The configurations that one worker serves with: the active one, and earlier ones for as long as something uses them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::Proxy;
use crate::limits;
use crate::shutdown::Shutdown;

/// The generations of one worker. A request belongs to the generation that was active when it arrived, with its plugin
/// instance. That instance and its timer live until the last of its requests and WebSockets has ended.
pub(crate) struct Generations {
    current: RefCell<Rc<Proxy>>,
    /// Earlier generations, the oldest first.
    old: RefCell<VecDeque<Rc<Proxy>>>,
    /// Triggered when the proxy stops.
    pub(crate) shutdown: Shutdown,
}

impl Generations {
    /// Begins with the first generation.
    pub(crate) fn new(first: Rc<Proxy>, shutdown: Shutdown) -> Rc<Self> {
        first.plugin.serve();
        Rc::new(Self {
            current: RefCell::new(first),
            old: RefCell::default(),
            shutdown,
        })
    }

    /// Returns the generation for new connections and requests.
    pub(crate) fn current(&self) -> Rc<Proxy> {
        Rc::clone(&self.current.borrow())
    }

    /// Makes `next` the active generation.
    pub(crate) fn replace(&self, next: Rc<Proxy>) {
        next.plugin.serve();
        let old = self.current.replace(next);
        old.retired.trigger();
        self.old.borrow_mut().push_back(old);
    }

    /// Shuts down old generations that are no longer used, and the oldest one when there are too many.
    pub(crate) async fn retire(&self) {
        while let Some(old) = self.take_retired() {
            old.plugin.shutdown().await;
        }
    }

    fn take_retired(&self) -> Option<Rc<Proxy>> {
        let mut old = self.old.borrow_mut();
        if let Some(place) = old.iter().position(|proxy| !is_used(proxy)) {
            return old.remove(place);
        }
        if old.len() <= limits::OLD_GENERATIONS {
            return None;
        }
        tracing::warn!(
            "an old configuration was in use through {} newer ones: closing its WebSockets and unfinished responses",
            limits::OLD_GENERATIONS
        );
        old.pop_front()
    }

    /// Closes idle connections that are past their age.
    pub(crate) fn sweep(&self) {
        self.current().sweep();
        self.old.borrow().iter().for_each(|old| old.sweep());
    }

    /// Shuts down all generations.
    pub(crate) async fn shut_down(&self) {
        let old = std::mem::take(&mut *self.old.borrow_mut());
        for proxy in old {
            proxy.plugin.shutdown().await;
        }
        self.current().plugin.shutdown().await;
    }
}

/// Returns whether something uses an old generation. Requests hold their generation until they are decided, and its plugin to
/// their end.
fn is_used(proxy: &Rc<Proxy>) -> bool {
    Rc::strong_count(proxy) > 1 || Rc::strong_count(&proxy.plugin) > 1
}
