;; Permits every request with its own configuration as `x-identity`; the client names the route. A configuration that begins
;; with `d` denies all requests, and one with `!` is refused. The instances share the configuration of the first one (`x-first`)
;; and whether one has been deleted (`x-gone`).
(module
  (import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_shared_data" (func $shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $share (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "proxy_abi_version_0_2_1"))

  (global $heap (mut i32) (i32.const 8192))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $address i32)
    (local.set $address (global.get $heap))
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))
    (local.get $address))

  (data (i32.const 1024) "x-test-route")
  (data (i32.const 1040) "x-jetway-route")
  (data (i32.const 1056) "x-identity")
  (data (i32.const 1072) "x-first")
  (data (i32.const 1088) "x-gone")

  (global $text (mut i32) (i32.const 0))
  (global $length (mut i32) (i32.const 0))

  ;; The configuration is a JSON string: its first letter follows a quote.
  (func $begins (param $letter i32) (result i32)
    (i32.eq (i32.load8_u offset=1 (global.get $text)) (local.get $letter)))

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
    (global.set $text (i32.load (i32.const 0)))
    (global.set $length (i32.load (i32.const 4)))
    (if (call $shared (i32.const 1072) (i32.const 7) (i32.const 0) (i32.const 4) (i32.const 8)) (then
      (drop (call $share (i32.const 1072) (i32.const 7) (global.get $text) (global.get $length) (i32.const 0)))))
    (i32.eqz (call $begins (i32.const 0x21))))

  (func (export "proxy_on_delete") (param $id i32)
    (if (i32.eq (local.get $id) (i32.const 1)) (then
      (drop (call $share (i32.const 1088) (i32.const 6) (global.get $text) (global.get $length) (i32.const 0))))))

  (func $tell (param $name i32) (param $size i32)
    (if (i32.eqz (call $shared (local.get $name) (local.get $size) (i32.const 0) (i32.const 4) (i32.const 8))) (then
      (drop (call $replace (i32.const 0) (local.get $name) (local.get $size)
        (i32.load (i32.const 0)) (i32.load (i32.const 4)))))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    ;; Allocations after the configuration are not needed any more.
    (global.set $heap (i32.const 16384))
    (if (call $begins (i32.const 0x64)) (then
      (drop (call $reply (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1))))
    (drop (call $value (i32.const 0) (i32.const 1024) (i32.const 12) (i32.const 0) (i32.const 4)))
    (drop (call $replace (i32.const 0) (i32.const 1040) (i32.const 14)
      (i32.load (i32.const 0)) (i32.load (i32.const 4))))
    (drop (call $replace (i32.const 0) (i32.const 1056) (i32.const 10) (global.get $text) (global.get $length)))
    (call $tell (i32.const 1072) (i32.const 7))
    (call $tell (i32.const 1088) (i32.const 6))
    (i32.const 0)))
