use serde_json::json;

use super::*;

const TEXT: &str = "\
routes:
  - from: https://a.example.com
    policy:
      - allow:
          or:
            - email: alice@example.com
            - claim/https://x.y/z[0]: [ä, b]
  - from: https://b.example.com
    timeout: 30
";

fn parsed(text: &str) -> Document {
    Document::parse(text).unwrap_or_else(|fault| panic!("{}", fault.message))
}

fn fault(text: &str) -> SyntaxError {
    Document::parse(text).err().unwrap()
}

fn locate(text: &str, path: &str) -> Option<Location> {
    parsed(text).places.locate(path)
}

fn value_place(path: &str) -> (u32, u32) {
    let place = locate(TEXT, path).unwrap().value.unwrap();
    (place.line, place.column)
}

#[test]
fn paths_lead_to_values() {
    assert_eq!(value_place("routes[0].from"), (2, 11));
    assert_eq!(
        value_place("routes[0].policy[0].allow.or[0].email"),
        (6, 22)
    );
    assert_eq!(
        value_place("routes[0].policy[0].allow.or[1].claim/https://x.y/z[0][1]"),
        (7, 43)
    );
    assert_eq!(value_place("routes[1].TIMEOUT"), (9, 14));
}

#[test]
fn paths_lead_to_keys() {
    let key = |path| {
        locate(TEXT, path)
            .map(|location| (location.key.line, location.key.column, location.key.length))
    };
    assert_eq!(key("routes[0].from"), Some((2, 5, 4)));
    assert_eq!(key("routes[0].policy"), Some((3, 5, 6)));
    assert_eq!(key("routes[1].timeout"), Some((9, 5, 7)));
    assert!(locate(TEXT, "routes[0].policy").unwrap().value.is_none());
}

#[test]
fn a_missing_key_leads_to_where_it_should_be() {
    let location = locate(TEXT, "routes[1].to").unwrap();
    assert_eq!((location.key.line, location.key.column), (8, 5));
    assert!(!location.complete);
    assert!(parsed(TEXT).places.locate("cookie_secret").is_none());
    assert!(parsed(TEXT).places.locate("").is_none());
}

#[test]
fn the_same_spelling_is_better_than_another() {
    let line = |path| locate("A: 1\na: 2\n", path).unwrap().key.line;
    assert_eq!((line("A"), line("a")), (1, 2));
}

#[test]
fn values_keep_the_types_of_yaml_v3() {
    let text = "\
a: 1
b: -2
c: 1.5
d: [yes, no, on, off, y, n]
e: [true, True, FALSE]
f: [~, null, ]
g: '7'
h: [0755, 0o17, 0x1F, 1_000]
i: 2026-01-02
j: 1:30
k: !!str 12
";
    let expected = json!({
        "a": 1, "b": -2, "c": 1.5,
        "d": ["yes", "no", "on", "off", "y", "n"],
        "e": [true, true, false],
        "f": [null, null],
        "g": "7",
        "h": [493, 15, 31, 1000],
        "i": "2026-01-02",
        "j": "1:30",
        "k": "12",
    });
    assert_eq!(parsed(text).value, expected);
}

#[test]
fn an_empty_file_is_an_empty_object() {
    for text in ["", "\n\n", "# nothing\n", "---\n", "~\n"] {
        assert_eq!(parsed(text).value, json!({}), "{text:?}");
    }
}

#[test]
fn json_is_read_as_it_is() {
    let text = "{\n\t\"a\":\"\\u00e4\\/\\ud83d\\ude00\",\n\t\"b\":[1,\n\t{\"c\":null}]\n}\n";
    let document = parsed(text);
    assert_eq!(document.value, json!({"a": "ä/😀", "b": [1, {"c": null}]}));
    let place = document.places.locate("b[1].c").unwrap().key;
    assert_eq!((place.line, place.column), (4, 3));
}

#[test]
fn comments_do_not_matter() {
    let comments = "    # a comment\n".repeat(5000);
    let text =
        format!("a:\n{comments}  - b:\n{comments}      c: 1\n{comments}d: [ # e\n{comments} 2]\n");
    assert_eq!(
        parsed(&text).value,
        json!({"a": [{"b": {"c": 1}}], "d": [2]})
    );
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let text = "\
base: &base {x: 1, y: 2}
more: &more {y: 5, z: 6}
one: *base
two:
  y: 3
  <<: [*base, *more]
'<<': text
";
    let document = parsed(text);
    assert_eq!(document.value["one"], json!({"x": 1, "y": 2}));
    assert_eq!(document.value["two"], json!({"x": 1, "y": 3, "z": 6}));
    assert_eq!(document.value["<<"], json!("text"));
    let line = |path| document.places.locate(path).unwrap().key.line;
    assert_eq!((line("two.y"), line("two.z")), (5, 6));
}

#[test]
fn many_routes_may_share_a_policy() {
    let mut text = String::from("p: &p [{allow: {or: [{accept: true}]}}]\nroutes:\n");
    text.push_str(&"  - policy: *p\n".repeat(2000));
    assert_eq!(
        parsed(&text).value["routes"].as_array().map(Vec::len),
        Some(2000)
    );
}

#[test]
fn keys_that_stand_twice_are_found_and_the_first_counts() {
    let document = parsed("a: 1\nb: [{c: 1, d: 2, c: 3}]\na: 4\na: 5\n");
    assert_eq!(document.value, json!({"a": 1, "b": [{"c": 1, "d": 2}]}));
    let found: Vec<(String, u32, u32)> = document
        .places
        .find_duplicates(10)
        .into_iter()
        .map(|found| (found.path, found.place.line, found.first.line))
        .collect();
    let expected = [("b[0].c", 2, 2), ("a", 3, 1), ("a", 4, 1)];
    assert_eq!(
        found,
        expected.map(|(path, at, first)| (path.to_owned(), at, first))
    );
    assert_eq!(document.places.find_duplicates(2).len(), 2);
    assert_eq!(document.places.locate("a").unwrap().key.line, 1);
}

#[test]
fn values_know_the_keys_around_them() {
    let document = parsed("a: x\nsecret: {b: [y, z]}\nc:\n  secret: >\n    long\n");
    let lines: Vec<u32> = document
        .places
        .collect_values(false, &|inside, key| inside || key == "secret")
        .iter()
        .filter_map(|(place, inside)| inside.then_some(place.line))
        .collect();
    assert_eq!(lines, [2, 2, 5]);
}

#[test]
fn faults_have_a_place_and_no_position_in_their_text() {
    for (text, line, column, part) in [
        ("routes:\n  - from: [\n", 2, 11, "unclosed bracket"),
        ("a:\n\tb: 2\n", 2, 2, "tabs"),
        ("a: 1\n\tb: 2\n", 1, 4, "found a tab"),
        ("a: 1\n---\nb: 2\n", 3, 1, "more than one YAML document"),
        ("a: \"x\nb: 1\n", 1, 4, "unclosed quote"),
        ("a: x\0y\n", 1, 5, "unexpected character"),
        ("ä: 1\nb: *c\n", 2, 4, "no anchor"),
        ("a: &a [*a]\n", 1, 8, "contains itself"),
        ("a: 1\n~: 2\n", 2, 1, "a key is empty or null"),
        ("? [a]\n: 1\n", 1, 3, "a key must be a string"),
        ("a: .inf\n", 1, 4, "not a finite number"),
        ("a: b: c\n", 1, 5, "mapping values"),
    ] {
        let fault = fault(text);
        let place = fault.place.unwrap();
        assert_eq!(
            (place.line, place.column),
            (line, column),
            "{text:?}: {}",
            fault.message
        );
        assert!(fault.message.contains(part), "{text:?}: {}", fault.message);
        assert!(!fault.message.contains(" line "), "{}", fault.message);
    }
}

#[test]
fn aliases_of_aliases_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let fault = fault(&text);
    assert!(
        fault.message.contains("aliases repeat"),
        "{}",
        fault.message
    );
}

#[test]
fn deep_nesting_is_refused() {
    let nested = "[".repeat(65) + &"]".repeat(65);
    assert!(fault(&nested).message.contains("64 levels"));
    assert!(Document::parse(&nested[1..129]).is_ok());
    for text in [
        "[".repeat(100_000),
        "- ".repeat(100_000),
        "{a: ".repeat(100_000),
    ] {
        let fault = fault(&text);
        assert!(fault.message.contains("64 levels"), "{}", fault.message);
    }
    // Each anchor is shallow, and what they make together is not.
    let mut text = String::from("a0: &a0 [x]\n");
    for level in 1..100 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(Document::parse(&text).is_err());
}

#[test]
fn more_values_than_the_limit_are_refused() {
    let fault = fault(&"- x\n".repeat(MAX_NODES + 1));
    assert!(
        fault.message.contains("more than 1000000 values"),
        "{}",
        fault.message
    );
}
