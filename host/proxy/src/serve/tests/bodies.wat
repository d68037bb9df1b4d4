;; Permits every request: the client names the route. A request with a field `x-test-body` is paused until its body was seen.
;; The first letter of the field chooses what happens: `c`ontinue at the end of the body, continue with the `f`irst part, `s`et
;; another body at the end, `r`eply with the body at the end, refuse `e`arly with the first part, or stay `p`aused.
(module
  (import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 64)
  (func (export "proxy_abi_version_0_2_1"))

  ;; Allocations are not needed after their callback.
  (global $heap (mut i32) (i32.const 4096))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $address i32)
    (local.set $address (global.get $heap))
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))
    (local.get $address))

  (data (i32.const 1024) "x-test-route")
  (data (i32.const 1040) "x-jetway-route")
  (data (i32.const 1056) "x-test-body")
  (data (i32.const 1072) "written")

  ;; The first letter of the field `x-test-body`, or 0.
  (func $wish (result i32)
    (if (call $value (i32.const 0) (i32.const 1056) (i32.const 11) (i32.const 0) (i32.const 4))
      (then (return (i32.const 0))))
    (i32.load8_u (i32.load (i32.const 0))))

  (func $answer (param $status i32)
    (drop (call $reply (local.get $status) (i32.const 1072) (i32.const 7)
      (i32.load (i32.const 0)) (i32.load (i32.const 4)) (i32.const 0) (i32.const 0) (i32.const -1))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $heap (i32.const 4096))
    (if (i32.eqz (call $value (i32.const 0) (i32.const 1024) (i32.const 12) (i32.const 0) (i32.const 4)))
      (then (drop (call $replace (i32.const 0) (i32.const 1040) (i32.const 14)
        (i32.load (i32.const 0)) (i32.load (i32.const 4))))))
    (i32.ne (call $wish) (i32.const 0)))

  (func (export "proxy_on_request_body") (param $id i32) (param $size i32) (param $end i32) (result i32)
    (local $wish i32)
    (global.set $heap (i32.const 4096))
    (local.set $wish (call $wish))
    ;; This is not called for requests that were permitted with their heads.
    (if (i32.eqz (local.get $wish)) (then unreachable))
    (drop (call $buffer (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
    (if (i32.ne (i32.load (i32.const 4)) (local.get $size)) (then
      (if (local.get $size) (then unreachable))))
    (if (i32.eq (local.get $wish) (i32.const 0x65)) (then (call $answer (i32.const 403))))
    (if (i32.eq (local.get $wish) (i32.const 0x66)) (then (return (i32.const 0))))
    (if (i32.eqz (local.get $end)) (then (return (i32.const 1))))
    (if (i32.eq (local.get $wish) (i32.const 0x63)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $wish) (i32.const 0x73)) (then
      (drop (call $set_buffer (i32.const 0) (i32.const 0) (local.get $size) (i32.const 1072) (i32.const 7)))
      (return (i32.const 0))))
    (if (i32.eq (local.get $wish) (i32.const 0x72)) (then (call $answer (i32.const 200))))
    (i32.const 1)))
