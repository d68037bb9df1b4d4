//! How many handshakes to make, or for how long.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::task::{JoinSet, LocalSet};

use crate::handshake::{Client, Kind};

/// Handshakes at a time. rustls keeps eight sessions of a server, of which each handshake takes one and returns at least one.
const PARALLEL: u64 = 4;

/// The handshakes that were made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) full: u64,
    pub(crate) resumed: u64,
}

/// One line of standard input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Count(u64),
    Seconds(u64),
}

impl Order {
    pub(crate) fn parse(line: &str) -> anyhow::Result<Self> {
        match line.split_once(' ') {
            Some(("count", number)) => Ok(Self::Count(number.parse()?)),
            Some(("seconds", number)) => Ok(Self::Seconds(number.parse()?)),
            _ => bail!("`{line}` is neither `count N` nor `seconds N`"),
        }
    }

    /// Makes the handshakes, a few at a time.
    pub(crate) async fn run(self, client: &Client) -> anyhow::Result<Done> {
        let turns = Rc::new(Turns::new(self));
        let tasks = LocalSet::new();
        let work = async {
            let mut parallel = JoinSet::new();
            for _ in 0..PARALLEL {
                parallel.spawn_local(make_handshakes(client.clone(), Rc::clone(&turns)));
            }
            let mut done = Done::default();
            while let Some(part) = parallel.join_next().await {
                let part = part??;
                done.full += part.full;
                done.resumed += part.resumed;
            }
            Ok(done)
        };
        tasks.run_until(work).await
    }
}

async fn make_handshakes(client: Client, turns: Rc<Turns>) -> anyhow::Result<Done> {
    let mut done = Done::default();
    while turns.take() {
        match client.connect().await? {
            Kind::Full => done.full += 1,
            Kind::Resumed => done.resumed += 1,
        }
    }
    Ok(done)
}

/// The handshakes that are left.
struct Turns {
    left: Cell<u64>,
    deadline: Option<Instant>,
}

impl Turns {
    fn new(order: Order) -> Self {
        let (left, deadline) = match order {
            Order::Count(count) => (count, None),
            Order::Seconds(seconds) => (
                u64::MAX,
                Some(Instant::now() + Duration::from_secs(seconds)),
            ),
        };
        Self {
            left: Cell::new(left),
            deadline,
        }
    }

    /// Takes one; `false` when none is left.
    fn take(&self) -> bool {
        let is_over = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        let left = self.left.get();
        if is_over || left == 0 {
            return false;
        }
        self.left.set(left - 1);
        true
    }
}
