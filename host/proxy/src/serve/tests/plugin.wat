;; Permits every request: the client itself names the route, and the path and host to set. The upstream gets the facts about
;; the client that the plugin has read.
(module
  (import "env" "proxy_get_header_map_value" (func $value (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
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
  (data (i32.const 1056) "x-test-path")
  (data (i32.const 1072) ":path")
  (data (i32.const 1088) "x-test-host")
  (data (i32.const 1104) ":authority")
  (data (i32.const 1120) "x-forwarded-client-cert")
  (data (i32.const 1152) "x-certificate")
  (data (i32.const 1168) "source\00address")
  (data (i32.const 1184) "x-source")
  (data (i32.const 1200) "connection\00sha256_peer_certificate_digest")
  (data (i32.const 1248) "x-digest")

  ;; Copies a field to another, if it is there.
  (func $copy (param $from i32) (param $from_size i32) (param $to i32) (param $to_size i32)
    (if (i32.eqz (call $value (i32.const 0) (local.get $from) (local.get $from_size) (i32.const 0) (i32.const 4)))
      (then (call $write (local.get $to) (local.get $to_size)))))

  ;; Copies a property to a field, if it is there.
  (func $tell (param $path i32) (param $path_size i32) (param $to i32) (param $to_size i32)
    (if (i32.eqz (call $property (local.get $path) (local.get $path_size) (i32.const 0) (i32.const 4)))
      (then (call $write (local.get $to) (local.get $to_size)))))

  (func $write (param $to i32) (param $to_size i32)
    (if (call $replace (i32.const 0) (local.get $to) (local.get $to_size)
          (i32.load (i32.const 0)) (i32.load (i32.const 4)))
      (then unreachable)))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $heap (i32.const 4096))
    (call $copy (i32.const 1024) (i32.const 12) (i32.const 1040) (i32.const 14))
    (call $copy (i32.const 1056) (i32.const 11) (i32.const 1072) (i32.const 5))
    (call $copy (i32.const 1088) (i32.const 11) (i32.const 1104) (i32.const 10))
    (call $copy (i32.const 1120) (i32.const 23) (i32.const 1152) (i32.const 13))
    (call $tell (i32.const 1168) (i32.const 14) (i32.const 1184) (i32.const 8))
    (call $tell (i32.const 1200) (i32.const 41) (i32.const 1248) (i32.const 8))
    (i32.const 0)))
