//! The provider's clock and ours.

use jetway_core::limits::LEEWAY;

use super::super::Subject;
use super::super::finding::{Change, Finding};

const CHECK: &str = "clock";
/// `Date` has whole seconds, and the answer took a moment: below this, clocks agree.
const AGREES: u64 = 10;

/// Compares the `Date` of an answer (RFC 9110 section 6.6.1) with this machine's clock.
pub(super) fn compare(about: &str, date: Option<&str>, subject: &Subject<'_>) -> Finding {
    let Some(date) = date else {
        return Finding::ok(
            CHECK,
            about,
            "it does not tell the time, so clocks are not compared",
        );
    };
    let Some(theirs) = seconds(date) else {
        return Finding::warning(
            CHECK,
            about,
            "it tells the time in a form that is not known",
        );
    };
    let skew = theirs.abs_diff(subject.now);
    let where_to = if theirs > subject.now {
        "behind"
    } else {
        "ahead of"
    };
    let message = format!("this machine's clock is {skew} seconds {where_to} the provider's");
    let repair = Change::act("let this machine take the time from the network")
        .line("timedatectl set-ntp true");
    if skew > LEEWAY {
        Finding::failure(CHECK, about, message)
            .seen("after the sign-in at the provider, a page of Jetway that says that it did not work")
            .why(format!("tokens are valid for a while only, and clocks may differ by {LEEWAY} seconds"))
            .change(repair)
    } else if skew > AGREES {
        Finding::warning(CHECK, about, message)
            .seen(format!(
                "nothing yet; above {LEEWAY} seconds nobody can sign in"
            ))
            .change(repair)
    } else {
        Finding::ok(CHECK, about, "its clock and this machine's agree")
    }
}

/// Seconds since 1970 of an HTTP date in the form that is in use, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(date: &str) -> Option<u64> {
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
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for wrong in ["", "yesterday", "1994-11-06T08:49:37Z"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
