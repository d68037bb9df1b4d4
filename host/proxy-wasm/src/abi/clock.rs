//! `proxy_get_current_time_nanoseconds`, `proxy_set_tick_period_milliseconds`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime::Caller;

use super::Imports;
use crate::guest::{parts, put_u64};
use crate::state::State;
use crate::status::{Status, code};
use crate::worker;

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_get_current_time_nanoseconds",
        |mut caller: Caller<'_, State>, time: u32| {
            code(parts(&mut caller).and_then(|(memory, _)| put_u64(memory, time, wall_clock())))
        },
    )?;
    imports.env(
        "proxy_set_tick_period_milliseconds",
        |mut caller: Caller<'_, State>, period: u32| {
            let state = caller.data_mut();
            let period = Duration::from_millis(period.into());
            state.tick =
                (!period.is_zero()).then(|| worker::spawn_ticks(state.link.clone(), period));
            code(Ok::<(), Status>(()))
        },
    )
}

/// Nanoseconds since the epoch; 0 for a clock before it.
pub(super) fn wall_clock() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
