//! Places, shares and who leaves first.

use super::*;
use tokio::sync::Semaphore;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

fn address(last: u8) -> Option<IpAddr> {
    Some([192, 0, 2, last].into())
}

async fn take(seats: &Arc<Seats>, client: Option<IpAddr>) -> Option<Seat> {
    let worker = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    seats.admit(client, worker).await
}

/// A place for somebody, one second after the one before.
async fn next(seats: &Arc<Seats>) -> Seat {
    sleep(SECOND).await;
    take(seats, None).await.unwrap()
}

fn is_asked(seat: &Seat) -> bool {
    seat.sitter.is_asked.load(Ordering::Relaxed)
}

impl Seat {
    /// A place of its own, for tests of what has one.
    pub(crate) async fn alone() -> Self {
        take(&Seats::new(100), None).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_idle_leaves_before_all_places_are_taken() {
    let seats = Seats::new(4);
    let mut idle = vec![next(&seats).await, next(&seats).await, next(&seats).await];
    assert!(!idle.iter().any(is_asked), "there is room");
    let fourth = next(&seats).await;
    assert!(is_asked(&idle[0]) && !is_asked(&idle[1]), "the oldest");
    idle.remove(0).asked().await;
    drop(fourth);
    assert_eq!(seats.taken().leaving, 0);
}

#[tokio::test(start_paused = true)]
async fn first_those_without_a_session_then_the_oldest() {
    let seats = Seats::new(6);
    let known = next(&seats).await;
    known.know();
    let used = next(&seats).await;
    let old = next(&seats).await;
    let busy = next(&seats).await;
    busy.begin();
    let young = next(&seats).await;
    used.begin();
    used.end();
    let mut order = Vec::new();
    for _ in 0..5 {
        sleep(limits::EVICTION_PAUSE).await;
        seats.relieve();
        let all = [
            ("known", &known),
            ("used", &used),
            ("old", &old),
            ("busy", &busy),
            ("young", &young),
        ];
        for (name, seat) in all {
            if is_asked(seat) && !order.contains(&name) {
                order.push(name);
            }
        }
    }
    assert_eq!(
        order,
        ["old", "young", "used", "known"],
        "and never a busy one"
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_is_asked_is_waited_for_and_nobody_else() {
    let seats = Seats::new(2);
    let idle = next(&seats).await;
    let busy = next(&seats).await;
    busy.begin();
    let leaving = async {
        idle.asked().await;
        drop(idle);
    };
    let (new, ()) = tokio::join!(take(&seats, None), leaving);
    let new = new.unwrap();
    new.begin();
    let before = Instant::now();
    let refused = Hit::Clients.count();
    assert!(take(&seats, None).await.is_none(), "both are busy");
    assert!(Hit::Clients.count() > refused);
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "there is nothing to wait for"
    );
    new.end();
    sleep(limits::EVICTION_PAUSE).await;
    let before = Instant::now();
    assert!(take(&seats, None).await.is_none(), "it does not leave");
    assert!(before.elapsed() >= limits::PLACE);
}

#[tokio::test(start_paused = true)]
async fn one_address_has_its_share_and_others_have_the_rest() {
    let seats = Seats::new(100);
    let mut taken = Vec::new();
    for _ in 0..50 {
        taken.push(take(&seats, address(1)).await.unwrap());
    }
    let refused = Hit::ClientShare.count();
    assert!(take(&seats, address(1)).await.is_none());
    assert!(Hit::ClientShare.count() > refused);
    assert!(!taken.iter().any(is_asked), "a refusal closes nothing");
    let other = take(&seats, address(2)).await.unwrap();
    // Somebody behind a proxy is known only afterwards.
    let proxied = take(&seats, None).await.unwrap();
    assert!(!proxied.claim(address(1).unwrap()));
    assert!(proxied.claim(address(3).unwrap()) && proxied.claim(address(3).unwrap()));
    assert_eq!(seats.taken().by_client.len(), 3);
    taken.pop();
    assert!(take(&seats, address(1)).await.is_some());
    drop((taken, other, proxied));
    let left = seats.taken();
    assert!(
        left.by_client.is_empty() && left.sitters.is_empty(),
        "nothing is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_connections_leaves_the_table_small_and_the_busy_alone() {
    let seats = Seats::new(64);
    let busy = next(&seats).await;
    busy.begin();
    let mut sitting: Vec<Seat> = Vec::new();
    for storm in 0..2_000_u32 {
        let client = IpAddr::from(storm.to_be_bytes());
        if let Some(seat) = take(&seats, Some(client)).await {
            sitting.push(seat);
        }
        sitting.retain(|seat| !is_asked(seat));
        let taken = seats.taken();
        assert!(taken.sitters.len() <= 64 && taken.by_client.len() <= 64);
    }
    assert!(!is_asked(&busy));
    assert!(take(&seats, None).await.is_some());
}
