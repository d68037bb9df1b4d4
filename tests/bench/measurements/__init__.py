"""The measurements, one file each: a function `measure(lab)` that returns a report."""

from measurements import (
    counts,
    idle_websockets,
    requests,
    routes,
    sign_in,
    start,
    tls,
    transfers,
    websockets,
)

#: In the order in which they run.
ALL = {
    "counts": counts.measure,
    "requests": requests.measure,
    "websockets": websockets.measure,
    "idle": idle_websockets.measure,
    "tls": tls.measure,
    "transfers": transfers.measure,
    "start": start.measure,
    "sign-in": sign_in.measure,
    "routes": routes.measure,
}
