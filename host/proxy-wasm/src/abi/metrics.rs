//! Counters, gauges and histograms.

use wasmtime::Caller;

use super::Imports;
use crate::guest::{Span, parts, put_u32, put_u64};
use crate::metrics::{MetricError, MetricKind};
use crate::state::State;
use crate::status::{Status, code};

pub(super) fn define(imports: &mut Imports) -> wasmtime::Result<()> {
    imports.env(
        "proxy_define_metric",
        |mut caller: Caller<'_, State>, kind: u32, name: u32, name_size: u32, id: u32| {
            code(make(
                &mut caller,
                kind,
                Span {
                    address: name,
                    size: name_size,
                },
                id,
            ))
        },
    )?;
    imports.env(
        "proxy_increment_metric",
        |caller: Caller<'_, State>, id: u32, delta: i64| {
            code(
                caller
                    .data()
                    .env
                    .services
                    .shared
                    .metrics
                    .increment(id, delta)
                    .map_err(status),
            )
        },
    )?;
    imports.env(
        "proxy_record_metric",
        |caller: Caller<'_, State>, id: u32, value: u64| {
            code(
                caller
                    .data()
                    .env
                    .services
                    .shared
                    .metrics
                    .record(id, value)
                    .map_err(status),
            )
        },
    )?;
    imports.env(
        "proxy_get_metric",
        |mut caller: Caller<'_, State>, id: u32, value: u32| code(read(&mut caller, id, value)),
    )
}

fn status(error: MetricError) -> Status {
    match error {
        MetricError::Unknown => Status::NotFound,
        MetricError::Refused => Status::BadArgument,
    }
}

fn make(caller: &mut Caller<'_, State>, kind: u32, name: Span, id: u32) -> Result<(), Status> {
    let kind = MetricKind::from_number(kind).ok_or(Status::BadArgument)?;
    let (memory, state) = parts(caller)?;
    let number = state
        .env
        .services
        .shared
        .metrics
        .define(kind, &String::from_utf8_lossy(name.of(memory)?));
    put_u32(memory, id, number)
}

fn read(caller: &mut Caller<'_, State>, id: u32, slot: u32) -> Result<(), Status> {
    let (memory, state) = parts(caller)?;
    let value = state
        .env
        .services
        .shared
        .metrics
        .value(id)
        .map_err(status)?;
    put_u64(memory, slot, value)
}
