//! The paths of routes in the file.

use serde_json::Value;

/// Returns the first of these keys at the top of the file, as it is spelt there.
pub fn find_key(file: &Value, known: &[&str]) -> Option<String> {
    let keys = file.as_object().into_iter().flat_map(|keys| keys.keys());
    let mut written = keys.filter(|key| known.iter().any(|known| key.eq_ignore_ascii_case(known)));
    written.next().cloned()
}

/// Returns the path of a route by its index in the configuration, such as `routes[2]`: the older list comes first.
pub fn route_path(index: usize, file: &Value) -> String {
    let list = |key: &str| {
        let key = find_key(file, &[key]).unwrap_or_else(|| key.to_owned());
        let length = file.get(&key).and_then(Value::as_array).map_or(0, Vec::len);
        (key, length)
    };
    let (older, count) = list("policy");
    match index.checked_sub(count) {
        None => format!("{older}[{index}]"),
        Some(index) => format!("{}[{index}]", list("routes").0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn routes_of_the_older_list_come_first() {
        let file = json!({"Policy": [{}, {}], "routes": [{}]});
        assert_eq!(route_path(1, &file), "Policy[1]");
        assert_eq!(route_path(2, &file), "routes[0]");
        assert_eq!(route_path(0, &json!({"Routes": [{}]})), "Routes[0]");
        assert_eq!(route_path(0, &json!({})), "routes[0]");
    }
}
