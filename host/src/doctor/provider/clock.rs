//! Compares the provider's clock with this machine's.

use jetway_core::limits::LEEWAY;

use crate::doctor::Subject;
use crate::doctor::finding::{Change, Finding};

const CHECK: &str = "clock";
/// `Date` has whole seconds, and the response takes time: below this difference in seconds, clocks agree.
const AGREES: u64 = 10;

/// Compares the `Date` of an answer (RFC 9110 section 6.6.1) with this machine's clock.
pub(super) fn compare(about: &str, date: Option<&str>, subject: &Subject<'_>) -> Finding {
    let Some(date) = date else {
        return Finding::ok(
            CHECK,
            about,
            "it sends no `Date`, so that clocks are not compared",
        );
    };
    let Some(theirs) = parse_http_date(date) else {
        return Finding::warning(CHECK, about, "its `Date` cannot be parsed");
    };
    let skew = theirs.abs_diff(subject.now);
    let where_to = if theirs > subject.now {
        "behind"
    } else {
        "ahead of"
    };
    let message = format!("this machine's clock is {skew} seconds {where_to} the provider's");
    let repair = Change::act("synchronize this machine's clock over the network")
        .line("timedatectl set-ntp true");
    if skew > LEEWAY {
        Finding::failure(CHECK, about, message)
            .seen("after the sign-in at the provider, Jetway's page about a failed sign-in")
            .why(format!(
                "tokens are valid for a limited time, and clocks may differ by {LEEWAY} seconds"
            ))
            .change(repair)
    } else if skew > AGREES {
        Finding::warning(CHECK, about, message)
            .seen(format!(
                "nothing yet; above {LEEWAY} seconds all sign-ins fail"
            ))
            .change(repair)
    } else {
        Finding::ok(CHECK, about, "its clock and this machine's agree")
    }
}

/// Parses an HTTP date in the current format, such as `Sun, 06 Nov 1994 08:49:37 GMT`, to seconds since 1970.
fn parse_http_date(date: &str) -> Option<u64> {
    let time = jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", date).ok()?;
    let moment = jiff::tz::TimeZone::UTC
        .to_timestamp(time.to_datetime().ok()?)
        .ok()?;
    u64::try_from(moment.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read() {
        assert_eq!(
            parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        for wrong in ["", "yesterday", "1994-11-06T08:49:37Z"] {
            assert_eq!(parse_http_date(wrong), None, "{wrong}");
        }
    }
}
