//! The fuzz target of websocket frames.

use super::Frames;

/// However the bytes are cut, the same frames pass.
#[test]
fn websocket_frames() {
    jetway_fuzz_driver::run("websocket_frames", |bytes| {
        let mut whole = Frames::default();
        whole.pass(bytes);
        let mut single = Frames::default();
        for byte in bytes {
            single.pass(&[*byte]);
        }
        assert_eq!(whole, single);
        let mut framed = Frames::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let passed = framed.pass_frame(rest);
            assert!(passed > 0 && passed <= rest.len());
            rest = &rest[passed..];
        }
        assert_eq!(whole, framed);
    });
}
