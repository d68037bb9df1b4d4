//! The proxy-wasm module that is embedded in this binary.

/// The module, built from `filter/` by the build script. It decides every live request, here and in Envoy.
pub const FILTER: &[u8] = include_bytes!(env!("JETWAY_FILTER_MODULE"));

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_a_wasm_module() {
        assert_eq!(super::FILTER.get(..4), Some(b"\0asm".as_slice()));
    }
}
