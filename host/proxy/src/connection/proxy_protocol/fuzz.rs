//! The fuzz target of the PROXY protocol.

use super::read;

/// Exactly the header is read, and nothing more is read of a connection that begins with something else.
#[test]
fn proxy_protocol() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    jetway_fuzz_driver::run("proxy_protocol", |bytes| {
        let mut stream = bytes;
        let first = runtime.block_on(read(&mut stream)).ok();
        let taken = &bytes[..bytes.len() - stream.len()];
        let again = runtime.block_on(read(&mut &*taken)).ok();
        assert_eq!(first, again, "what follows the header does not count");
        if let Some(Some(ends)) = first {
            assert_eq!(ends.source.ip().to_canonical(), ends.source.ip());
        }
    });
}
