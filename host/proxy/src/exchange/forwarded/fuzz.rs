//! The fuzz target of the fields that proxies in front set.

use http::{HeaderMap, HeaderName, HeaderValue};
use jetway_core::http::forwarded::TrustedProxies;

use super::{FORWARDED_FOR, FORWARDED_PROTO, RequestOrigin};

/// Each line is a header. For any headers, only addresses and a scheme are passed on.
#[test]
fn forwarded() {
    jetway_fuzz_driver::run("forwarded", |bytes| {
        let mut headers = HeaderMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let end = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(end.unwrap_or(0));
            let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            {
                headers.append(name, value);
            }
        }
        for trusted_hops in [0, 1, 3] {
            let peer = "192.0.2.7:40000".parse().unwrap();
            let proxies = TrustedProxies::new(trusted_hops, false);
            let origin = RequestOrigin::read(&headers, peer, proxies);
            let mut passed_on = headers.clone();
            origin.write(&mut passed_on);
            let chain = passed_on[FORWARDED_FOR].to_str().unwrap();
            let addresses = chain.split(", ").map(str::parse::<std::net::IpAddr>);
            assert!(addresses.clone().all(|address| address.is_ok()), "{chain}");
            assert!(addresses.count() <= trusted_hops + 1);
            assert!(["http", "https"].contains(&passed_on[FORWARDED_PROTO].to_str().unwrap()));
            if trusted_hops == 0 {
                assert_eq!((origin.client, chain), (peer, "192.0.2.7"));
            }
        }
    });
}
