//! Tests of slots, shares and the order of eviction.

use super::*;
use tokio::sync::Semaphore;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn address(last: u8) -> Option<IpAddr> {
    Some([192, 0, 2, last].into())
}

async fn acquire(slots: &Arc<ConnectionSlots>, client: Option<IpAddr>) -> Option<ConnectionSlot> {
    let worker = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    slots.acquire(client, worker).await
}

/// Acquires a slot one second after the previous one.
async fn acquire_next(slots: &Arc<ConnectionSlots>) -> ConnectionSlot {
    sleep(SECOND).await;
    acquire(slots, None).await.unwrap()
}

fn is_evicted(slot: &ConnectionSlot) -> bool {
    slot.state.is_evicted.load(Ordering::Relaxed)
}

impl ConnectionSlot {
    /// Returns a slot for tests of other modules.
    pub(crate) async fn for_test() -> Self {
        acquire(&ConnectionSlots::new(100), None).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_evicted_before_all_slots_are_taken() {
    let slots = ConnectionSlots::new(4);
    let mut idle = vec![
        acquire_next(&slots).await,
        acquire_next(&slots).await,
        acquire_next(&slots).await,
    ];
    assert!(!idle.iter().any(is_evicted), "slots are free");
    let fourth = acquire_next(&slots).await;
    assert!(is_evicted(&idle[0]) && !is_evicted(&idle[1]), "the oldest");
    idle.remove(0).evicted().await;
    drop(fourth);
    assert_eq!(slots.table().evicting.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_without_a_session_are_evicted_first_then_the_oldest() {
    let slots = ConnectionSlots::new(6);
    let session = acquire_next(&slots).await;
    session.mark_session();
    let used = acquire_next(&slots).await;
    let old = acquire_next(&slots).await;
    let busy = acquire_next(&slots).await;
    busy.begin_request();
    let young = acquire_next(&slots).await;
    sleep(SECOND).await;
    used.begin_request();
    used.end_request();
    let mut order = Vec::new();
    for _ in 0..5 {
        sleep(limits::EVICTION_SCAN_INTERVAL).await;
        slots.evict_idle();
        for (name, slot) in [
            ("session", &session),
            ("used", &used),
            ("old", &old),
            ("busy", &busy),
            ("young", &young),
        ] {
            if is_evicted(slot) && !order.contains(&name) {
                order.push(name);
            }
        }
    }
    assert_eq!(
        order,
        ["old", "young", "used", "session"],
        "never a busy one"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_waits_for_an_evicted_one_but_not_for_busy_ones() {
    let slots = ConnectionSlots::new(2);
    let idle = acquire_next(&slots).await;
    let busy = acquire_next(&slots).await;
    busy.begin_request();
    let ending = async {
        idle.evicted().await;
        drop(idle);
    };
    let (new, ()) = tokio::join!(acquire(&slots, None), ending);
    let new = new.unwrap();
    new.begin_request();
    let before = Instant::now();
    let hits = Hit::ClientConnections.count();
    assert!(acquire(&slots, None).await.is_none(), "both are busy");
    assert!(Hit::ClientConnections.count() > hits);
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "there is nothing to wait for"
    );
    new.end_request();
    sleep(limits::EVICTION_SCAN_INTERVAL).await;
    let before = Instant::now();
    assert!(acquire(&slots, None).await.is_none(), "it does not end");
    assert!(before.elapsed() >= limits::SLOT_WAIT);
}

/// Evicted connections on which requests begin do not end soon, so that others are evicted in their place.
#[tokio::test(start_paused = true)]
async fn evicted_connections_that_become_busy_do_not_stop_evictions() {
    let slots = ConnectionSlots::new(4);
    let busy = [acquire_next(&slots).await, acquire_next(&slots).await];
    for _ in &busy {
        sleep(limits::EVICTION_SCAN_INTERVAL).await;
        slots.evict_idle();
    }
    assert!(busy.iter().all(is_evicted));
    for slot in &busy {
        slot.begin_request();
    }
    assert!(slots.table().evicting.is_empty());
    let third = acquire_next(&slots).await;
    let fourth = acquire_next(&slots).await;
    // The fourth may already have evicted the third.
    let ending = async {
        third.evicted().await;
        drop(third);
        std::future::pending().await
    };
    sleep(SECOND).await;
    let new = tokio::select! {
        new = acquire(&slots, None) => new,
        () = ending => None,
    };
    assert!(new.is_some(), "an idle connection is evicted");
    busy[0].end_request();
    assert!(slots.table().evicting.contains(&busy[0].id), "it ends now");
    drop((busy, fourth, new));
    let table = slots.table();
    assert!(table.evicting.is_empty() && table.connections.is_empty());
}

/// Between two scans, a new connection waits for one that has become idle.
#[tokio::test(start_paused = true)]
async fn a_new_connection_waits_for_the_next_scan_if_that_may_find_an_idle_one() {
    let slots = ConnectionSlots::new(2);
    let first = acquire_next(&slots).await;
    first.begin_request();
    let second = acquire_next(&slots).await;
    second.begin_request();
    sleep(SECOND).await;
    let refused = Instant::now();
    assert!(acquire(&slots, None).await.is_none());
    assert_eq!(refused.elapsed(), Duration::ZERO, "both are busy");
    first.end_request();
    let ending = async {
        first.evicted().await;
        drop(first);
    };
    let (new, ()) = tokio::join!(acquire(&slots, None), ending);
    assert!(new.is_some());
    assert_eq!(refused.elapsed(), limits::EVICTION_SCAN_INTERVAL);
    assert!(!is_evicted(&second));
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_its_share_and_other_clients_get_the_rest() {
    let slots = ConnectionSlots::new(100);
    let mut taken = Vec::new();
    for _ in 0..50 {
        taken.push(acquire(&slots, address(1)).await.unwrap());
    }
    let hits = Hit::ClientShare.count();
    assert!(acquire(&slots, address(1)).await.is_none());
    assert!(Hit::ClientShare.count() > hits);
    assert!(!taken.iter().any(is_evicted), "a refusal evicts nothing");
    let other = acquire(&slots, address(2)).await.unwrap();
    // The client behind a proxy is known only after the PROXY protocol header.
    let proxied = acquire(&slots, None).await.unwrap();
    assert!(!proxied.assign_client(address(1).unwrap()));
    assert!(proxied.assign_client(address(3).unwrap()));
    assert!(proxied.assign_client(address(3).unwrap()));
    assert_eq!(slots.table().by_client.len(), 3);
    taken.pop();
    assert!(acquire(&slots, address(1)).await.is_some());
    drop((taken, other, proxied));
    let table = slots.table();
    assert!(table.by_client.is_empty() && table.connections.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_addresses_leaves_the_table_small_and_busy_connections_alone() {
    let slots = ConnectionSlots::new(64);
    let busy = acquire_next(&slots).await;
    busy.begin_request();
    let mut open: Vec<ConnectionSlot> = Vec::new();
    for number in 0..2_000_u32 {
        let client = IpAddr::from(number.to_be_bytes());
        if let Some(slot) = acquire(&slots, Some(client)).await {
            open.push(slot);
        }
        open.retain(|slot| !is_evicted(slot));
        let table = slots.table();
        assert!(table.connections.len() <= 64 && table.by_client.len() <= 64);
    }
    assert!(!is_evicted(&busy));
    assert!(acquire(&slots, None).await.is_some());
}
