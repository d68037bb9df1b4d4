//! Which replies the log sums up.

use super::world::{Jar, World, request};
use crate::gate::*;

/// N-14: any client can cause any number of refusals and redirects to a sign-in, but a sign-in or a sign-out takes effort.
#[test]
fn n_14_refusals_and_ways_to_a_sign_in_are_summed_up_and_sign_ins_are_not() {
    let mut world = World::new();
    let reply = |step: Step| match step {
        Step::Reply(reply) => reply,
        other => panic!("a reply was expected, not {other:?}"),
    };
    let mut jar = Jar::default();
    let anonymous = reply(world.visit("app.test", "/", &jar));
    assert!(anonymous.is_summed_up(), "{anonymous:?}");
    let nowhere = world.reply(&request("GET", "nowhere.test", "/", &[]));
    assert!(nowhere.is_summed_up(), "{nowhere:?}");

    let query = world.depart("app.test", "/", &mut jar);
    let step = world.callback("app.test", &query["state"], &jar);
    let claims = world.claims("alice@corp.test", &query["nonce"]);
    let signed_in = reply(world.answer(step, &claims));
    assert!(!signed_in.is_summed_up(), "{signed_in:?}");
    jar.take(&signed_in);
    let page = reply(world.visit("app.test", "/.pomerium/", &jar));
    assert!(!page.is_summed_up(), "{page:?}");
    let forbidden = reply(world.visit("app.test", "/.pomerium/nowhere", &jar));
    assert!(forbidden.is_summed_up(), "{forbidden:?}");
}
