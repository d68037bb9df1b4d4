//! The documentation of the language against its reader.

use serde_json::{Value, json};

use super::{policy, read};
use crate::policy::Policy;
use crate::policy::language::{ACTIONS, CRITERIA, MATCHERS, Operator, Topic, UNSUPPORTED};

fn yaml(line: &str) -> Value {
    serde_saphyr::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn the_example_of_each_criterion_reads_as_that_criterion() {
    for entry in CRITERIA {
        let read = policy(&json!({"allow": {"or": [yaml(entry.doc.example)]}}));
        let criterion = &read.allow[0].criteria[0];
        assert_eq!(criterion.doc().name, entry.doc.name);
        assert!(Topic::ALL.contains(&entry.doc.topic), "{}", entry.doc.name);
    }
}

#[test]
fn the_example_of_each_condition_is_read_and_makes_a_difference() {
    for matcher in MATCHERS {
        for condition in matcher.conditions {
            let mut value = yaml(condition.example);
            assert!(value.get(condition.name).is_some(), "{}", condition.example);
            if matcher.criterion == "time_of_day" {
                value["timezone"] = json!("Asia/Kathmandu");
            }
            let with = policy(&json!({"allow": {"or": [{matcher.criterion: value}]}}));
            let without = match matcher.criterion {
                "time_of_day" => json!({"timezone": "UTC"}),
                _ => json!({}),
            };
            let without = policy(&json!({"allow": {"or": [{matcher.criterion: without}]}}));
            let is_default = condition.name == "timezone" && matcher.criterion == "date";
            assert_eq!(with == without, is_default, "{}", condition.example);
        }
    }
}

#[test]
fn names_are_sorted_unique_and_never_both_supported_and_unsupported() {
    let names: Vec<&str> = CRITERIA.iter().map(|entry| entry.doc.name).collect();
    assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
    for (name, _) in UNSUPPORTED {
        assert!(!names.contains(name), "{name}");
        let (_, findings) = read(&json!({"deny": {"or": [{*name: true}]}}));
        assert_eq!(findings.problem_count(), 1, "{name}");
    }
}

#[test]
fn documented_actions_and_operators_are_read() {
    for action in ACTIONS {
        for operator in Operator::ALL {
            let read = policy(&json!({*action: {operator.name(): [{"accept": true}]}}));
            assert_ne!(read, Policy::default(), "{action} {operator:?}");
        }
    }
}
