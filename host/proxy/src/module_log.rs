//! Writes the log lines of Jetway's module as events with fields, so that they have fields in a log of JSON lines, too.
//!
//! The core writes these lines and reads them here. A line of another kind is written as it is.

use std::fmt;

use jetway_core::http::log_line::LogFields;

use crate::wasm::{Level, Log, TracingLog};

/// The log of the module's lines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModuleLog;

/// Writes a line and its fields at a level, which has to be a constant.
macro_rules! write_fields {
    ($level:ident, $fields:expr) => {
        tracing::event!(
            target: "plugin",
            tracing::Level::$level,
            route = $fields.get("route"),
            reasons = $fields.get("reasons").map(tracing::field::display),
            email_verified = $fields.get("email_verified").map(tracing::field::display),
            status = $fields.get("status").and_then(|status| status.parse::<u16>().ok()),
            account = $fields.get("account"),
            request_id = $fields.get("request_id"),
            client = $fields.get("client").map(tracing::field::display),
            method = $fields.get("method"),
            host = $fields.get("host"),
            path = $fields.get("path"),
            "{}",
            $fields.event,
        )
    };
}

impl Log for ModuleLog {
    fn finest(&self) -> Level {
        TracingLog.finest()
    }

    fn write(&self, level: Level, line: &dyn fmt::Display) {
        if !is_enabled(level) {
            return;
        }
        let line = line.to_string();
        let fields = LogFields::read(&line);
        if fields.is_empty() {
            return TracingLog.write(level, &line);
        }
        match level {
            Level::Trace => write_fields!(TRACE, fields),
            Level::Debug => write_fields!(DEBUG, fields),
            Level::Info => write_fields!(INFO, fields),
            Level::Warn => write_fields!(WARN, fields),
            Level::Error | Level::Critical => write_fields!(ERROR, fields),
        }
    }
}

fn is_enabled(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
        Level::Error | Level::Critical => {
            tracing::enabled!(target: "plugin", tracing::Level::ERROR)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    const LINE: &str = r#"refused: forbidden route="app" reasons=domain-unauthorized status=403 account="mallory@evil.test" request_id="id-1" client=192.0.2.1 method="GET" host="app.test" path="/\"a b""#;

    #[test]
    fn a_decision_has_fields() {
        let lines = logged(|| ModuleLog.write(Level::Info, &LINE));
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(line["target"], "plugin");
        assert_eq!(
            line["fields"],
            serde_json::json!({
                "message": "refused: forbidden",
                "route": "app",
                "reasons": "domain-unauthorized",
                "status": 403,
                "account": "mallory@evil.test",
                "request_id": "id-1",
                "client": "192.0.2.1",
                "method": "GET",
                "host": "app.test",
                "path": "/\"a b",
            })
        );
    }

    #[test]
    fn another_line_is_written_as_it_is() {
        let lines = logged(|| {
            ModuleLog.write(Level::Warn, &"cannot set the timer");
            ModuleLog.write(Level::Trace, &LINE);
        });
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        let fields = serde_json::json!({"message": "cannot set the timer"});
        assert_eq!((&line["level"], &line["fields"]), (&"WARN".into(), &fields));
    }

    #[test]
    fn a_text_log_has_the_line_of_the_module() {
        let text = crate::testing::logged_text(|| ModuleLog.write(Level::Info, &LINE));
        assert!(text.ends_with(&format!(" INFO plugin: {LINE}\n")), "{text}");
    }
}
