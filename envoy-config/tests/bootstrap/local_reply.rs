//! The replies of Envoy itself, instead of an application or the module.

use jetway_core::config::Config;
use jetway_core::http::page::Theme;
use jetway_core::http::upstream_failure::UpstreamFailure;

use super::*;

fn mappers(file: &Value) -> Vec<Value> {
    let envoy = written(file);
    let manager = &listener(&envoy)["filter_chains"][0]["filters"][0]["typed_config"];
    manager["local_reply_config"]["mappers"]
        .as_array()
        .unwrap()
        .clone()
}

fn html(mapper: &Value) -> Option<&str> {
    mapper["body_format_override"]["text_format_source"]["inline_string"].as_str()
}

#[test]
fn every_outage_is_a_page_and_json() {
    let mappers = mappers(&file());
    assert_eq!(mappers.len(), 2 * UpstreamFailure::ALL.len());
    for (pair, outage) in mappers.chunks(2).zip(UpstreamFailure::ALL) {
        assert!(html(&pair[0]).unwrap().contains(outage.title()));
        let fields = &pair[1]["body_format_override"]["json_format"];
        assert_eq!(fields["request_id"], "%REQ(X-REQUEST-ID)%");
        for mapper in pair {
            let filter = mapper["filter"].to_string();
            let status = format!("\"default_value\":{}", outage.status());
            assert!(filter.contains(&status), "{filter}");
            // Anything else would replace what the module answers.
            let causes = ["\"UF\"", "\"UO\"", "wasm_fail_stream"];
            assert!(
                causes.iter().any(|cause| filter.contains(cause)),
                "{filter}"
            );
            let retry = mapper["headers_to_add"].to_string().contains("retry-after");
            assert_eq!(retry, outage.status() == 503);
        }
    }
}

#[test]
fn the_operators_words_are_no_commands_of_envoy() {
    let mut file = with("page_name", json!("100 %REQ(COOKIE)% \u{feff}"));
    file["error_message_first_paragraph"] = json!("50 % of us");
    let config = Config::read(&file, &|_| None).unwrap().config;
    let [(_, policy), ..] = Theme::new(&config.branding).headers(None);
    for mapper in mappers(&file) {
        let headers = mapper["headers_to_add"].as_array().unwrap();
        let Some(html) = html(&mapper) else {
            continue;
        };
        assert!(html.contains("100 %%REQ(COOKIE)%%"), "{html}");
        assert!(html.contains("50 %% of us"), "{html}");
        assert_eq!(
            html.replace("%%", "").matches('%').count(),
            4,
            "two commands: {html}"
        );
        assert!(html.contains("Request id %REQ(X-REQUEST-ID)%"), "{html}");
        let address = "<dd>%REQ(X-FORWARDED-HOST?:AUTHORITY)%</dd>";
        assert!(html.contains(address), "{html}");
        assert_eq!(headers[0]["header"]["value"], policy);
    }
}
