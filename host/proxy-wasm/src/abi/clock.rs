//! `proxy_get_current_time_nanoseconds`, `proxy_set_tick_period_milliseconds`.

use std::time::{Duration, UNIX_EPOCH};

use wasmtime::Caller;

use super::Imports;
use crate::guest::{parts, put_u64};
use crate::plugin;
use crate::state::State;
use crate::status::{Status, code};

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_get_current_time_nanoseconds",
        |mut caller: Caller<'_, State>, time: u32| {
            code(
                parts(&mut caller)
                    .and_then(|(memory, state)| put_u64(memory, time, wall_clock(state))),
            )
        },
    )?;
    imports.env(
        "proxy_set_tick_period_milliseconds",
        |mut caller: Caller<'_, State>, period: u32| {
            let state = caller.data_mut();
            let period = Duration::from_millis(period.into());
            state.tick =
                (!period.is_zero()).then(|| plugin::spawn_ticks(state.link.clone(), period));
            code(Ok::<(), Status>(()))
        },
    )
}

/// Returns nanoseconds since 1970, or 0 for a clock before that.
pub(super) fn wall_clock(state: &State) -> u64 {
    let now = state.env.services.clock.now();
    nanoseconds(now.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Returns nanoseconds of the monotonic clock.
pub(super) fn monotonic_clock(state: &State) -> u64 {
    nanoseconds(state.env.services.clock.monotonic())
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
