//! Repeats the decision about a signed-in request, so that callgrind can count its instructions.
//!
//! `instructions.py` runs this program and keeps the counts in `counts.tsv`. The time, the random bytes and the keys are the same
//! in every run, and all caches are warm before callgrind begins to count at [`decide_repeatedly`]. With the paths of a module and of
//! a folder it repeats the whole call of the module instead.

mod plugin;

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jetway_core::gate::Gate;
use jetway_core::gate::refuse_status;
use jetway_core::gate::step::Step;
use jetway_core::http::request::Request;

use jetway_hot_path::shape::{Headers, Shape};
use jetway_hot_path::world::World;

/// How many requests fill the caches before the count begins.
const WARM_UP: u32 = 16;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [name, requests] => count_core(&find_shape(name)?, read_number(requests)?),
        [name, requests, module, cache] => plugin::run(
            &find_shape(name)?,
            read_number(requests)?,
            Path::new(module),
            Path::new(cache),
        ),
        _ => bail!(
            "the arguments have to be the name of a shape and the number of requests, and for calls of the module its path and a \
             folder for its compiled form"
        ),
    }
}

fn find_shape(name: &str) -> Result<Shape> {
    Shape::find(name).with_context(|| {
        let known = Shape::ALL.map(|shape| shape.name).join(", ");
        format!("unknown shape `{name}`, write one of {known}")
    })
}

fn read_number(requests: &str) -> Result<u32> {
    requests
        .parse()
        .with_context(|| format!("`{requests}` must be a number of requests"))
}

/// Repeats the decision of the core about a request of this shape.
fn count_core(shape: &Shape, requests: u32) -> Result<()> {
    let mut world = World::new(shape)?;
    let cookie = world.sign_in()?;
    let headers = shape.headers(&cookie);
    check_forwarded(&mut world, &headers)?;
    decide(&mut world, &headers, WARM_UP);
    world.reads.set(0);
    decide_repeatedly(&mut world, &headers, requests);
    println!("shared data reads {}", world.reads.get() / requests.max(1));
    Ok(())
}

/// Verifies that the request is forwarded: the count of a refused one would be worthless.
fn check_forwarded(world: &mut World, headers: &Headers) -> Result<()> {
    let World { gate, clock, .. } = world;
    match gate.begin(&Request::new(headers), &mut clock.env()) {
        Step::Forward(_) => Ok(()),
        other => bail!("the request must be forwarded, but the step is {other:?}"),
    }
}

/// Decides about requests while callgrind counts: it begins where this function is called, and ends where it returns.
#[inline(never)]
fn decide_repeatedly(world: &mut World, headers: &Headers, requests: u32) {
    decide(world, headers, requests);
}

fn decide(world: &mut World, headers: &Headers, requests: u32) {
    for _ in 0..requests {
        let World { gate, clock, .. } = &mut *world;
        let step = gate.begin(black_box(&Request::new(headers)), &mut clock.env());
        answer(gate, black_box(step));
    }
}

/// Does with a step what the module does with it until the response is on its way to the client.
fn answer(gate: &Gate, step: Step) {
    let Step::Forward(mut forward) = step else {
        return;
    };
    black_box(forward.edits());
    let stream = forward.take_open_stream();
    let forwarded = forward.forwarded().clone();
    drop(forward);
    if black_box(refuse_status(black_box(b"200"), forwarded.switches)).is_none()
        && !gate.reads_answer(&forwarded)
    {
        black_box(gate.edit_answer(&forwarded, &[]));
    }
    drop(black_box(stream));
}
