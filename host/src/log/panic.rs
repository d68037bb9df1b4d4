//! Logs panics. The usual message goes to standard error, for which a thread of the proxy must not wait.

use std::panic::PanicHookInfo;

/// Logs a panic: the thread and the place in the source. A message that was formatted at run time may contain secrets, so
/// that only fixed messages are logged.
pub(super) fn log(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = panic.location().map(ToString::to_string);
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        place = place.unwrap_or_default(),
        "the proxy has a defect (panic): {}",
        fixed_message(panic.payload())
    );
}

fn fixed_message(payload: &(dyn std::any::Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("its message may contain secrets and is not logged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formatted_message_is_not_logged() {
        let payload = |run: fn()| std::panic::catch_unwind(run).unwrap_err();
        let fixed = payload(|| panic!("no such state"));
        assert_eq!(fixed_message(&*fixed), "no such state");
        let quoting = payload(|| {
            let secret = String::from("hunter2");
            panic!("cannot read {secret}")
        });
        assert!(!fixed_message(&*quoting).contains("hunter2"));
    }
}
