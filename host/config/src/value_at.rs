//! Looks values up by path.

use serde_json::Value;

/// Returns the value at a path such as `routes[0].tls_client_key_file`, whose keys contain no dots and brackets.
pub fn value_at<'v>(file: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(file, |value, step| {
        let (key, places) = step.split_once('[').unwrap_or((step, ""));
        let value = value.as_object()?.get(key)?;
        places
            .split('[')
            .filter(|place| !place.is_empty())
            .try_fold(value, |value, place| {
                let number: usize = place.strip_suffix(']')?.parse().ok()?;
                value.as_array()?.get(number)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_to_values() {
        let file = json!({"a": [{"b": 1}, [2, {"c": 3}]], "d": {"e": 4}});
        for (path, expected) in [
            ("a[0].b", Some(json!(1))),
            ("a[1][1].c", Some(json!(3))),
            ("d.e", Some(json!(4))),
            ("a[2]", None),
            ("d.e.f", None),
            ("", None),
        ] {
            assert_eq!(value_at(&file, path), expected.as_ref(), "{path}");
        }
    }
}
