;; Permits every request: the client names the route. The upstream gets the number of calls at the end of a stream (`x-ended`:
;; log, done, delete). Each response gets a cookie, and a WebSocket that asks for it (`x-test-end`) is ended at the first tick
;; after its client has sent something, with a last message.
(module
  (import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $choose (param i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "proxy_abi_version_0_2_1"))

  (global $heap (mut i32) (i32.const 4096))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $address i32)
    (local.set $address (global.get $heap))
    (global.set $heap (i32.add (global.get $heap) (local.get $size)))
    (local.get $address))

  (data (i32.const 1024) "x-test-route")
  (data (i32.const 1040) "x-jetway-route")
  (data (i32.const 1056) "x-test-end")
  (data (i32.const 1072) "x-ended")
  (data (i32.const 1088) "000")
  (data (i32.const 1104) "set-cookie")
  (data (i32.const 1120) "session=new; Secure")
  (data (i32.const 1152) "x-plugin")
  (data (i32.const 1168) "was here")
  (data (i32.const 1184) "jetway.last_message")
  (data (i32.const 1216) "\0a{\22command\22:\22init\22}")

  ;; The WebSocket that asks to be ended, and the one that has to end.
  (global $asks (mut i32) (i32.const 0))
  (global $victim (mut i32) (i32.const 0))

  (func $count (param $digit i32)
    (i32.store8 (local.get $digit) (i32.add (i32.load8_u (local.get $digit)) (i32.const 1))))

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $tick (i32.const 10))) (i32.const 1))
  (func (export "proxy_on_tick") (param i32)
    (if (global.get $victim) (then
      (if (call $choose (global.get $victim)) (then unreachable))
      (global.set $victim (i32.const 0))
      (drop (call $set_property (i32.const 1184) (i32.const 19) (i32.const 1216) (i32.const 19)))
      (drop (call $close (i32.const 1))))))

  (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
    (global.set $heap (i32.const 4096))
    (if (i32.eqz (call $value (i32.const 0) (i32.const 1024) (i32.const 12) (i32.const 0) (i32.const 4)))
      (then (drop (call $replace (i32.const 0) (i32.const 1040) (i32.const 14)
        (i32.load (i32.const 0)) (i32.load (i32.const 4))))))
    (drop (call $replace (i32.const 0) (i32.const 1072) (i32.const 7) (i32.const 1088) (i32.const 3)))
    (if (i32.eqz (call $value (i32.const 0) (i32.const 1056) (i32.const 10) (i32.const 0) (i32.const 4)))
      (then (global.set $asks (local.get $id))))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param $id i32) (param $size i32) (param $end i32) (result i32)
    (if (i32.eq (local.get $id) (global.get $asks)) (then (global.set $victim (local.get $id))))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add (i32.const 2) (i32.const 1104) (i32.const 10) (i32.const 1120) (i32.const 19)))
    (drop (call $replace (i32.const 2) (i32.const 1152) (i32.const 8) (i32.const 1168) (i32.const 8)))
    (i32.const 0))

  (func (export "proxy_on_log") (param i32) (call $count (i32.const 1088)))
  (func (export "proxy_on_done") (param i32) (result i32) (call $count (i32.const 1089)) (i32.const 1))
  (func (export "proxy_on_delete") (param i32) (call $count (i32.const 1090))))
