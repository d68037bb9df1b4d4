//! The examples of the standards.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use libtest_mimic::{Failed, Trial};

use crate::is_signed_by;

/// The claims of all examples of RFC 7515 appendices A.1 to A.3: Joe, until 2011.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// The text of the examples of RFC 7520 section 4: that it is dangerous to step out of one's door.
const BILBO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";

struct Example {
    name: &'static str,
    key: &'static str,
    header: &'static str,
    payload: &'static str,
    signature: &'static str,
    holds: bool,
}

const RSA_OF_7515: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
const EC_OF_7515: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// A good key without a name, from RFC 7517 appendix A.1.
const UNRELATED: &str = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
const BILBOS_RSA: &str = r#"{"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","alg":"ALG","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"}"#;

const EXAMPLES: [Example; 8] = [
    Example {
        name: "rfc7515_a1_hs256_is_refused",
        key: r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
        header: "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}",
        payload: JOE,
        signature: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        holds: false,
    },
    Example {
        name: "rfc7515_a2_rs256",
        key: RSA_OF_7515,
        header: r#"{"alg":"RS256"}"#,
        payload: JOE,
        signature: "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        holds: true,
    },
    Example {
        name: "rfc7515_a3_es256",
        key: EC_OF_7515,
        header: r#"{"alg":"ES256"}"#,
        payload: JOE,
        signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        holds: true,
    },
    Example {
        name: "rfc7515_a4_es512_is_refused",
        key: r#"{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#,
        header: r#"{"alg":"ES512"}"#,
        payload: "UGF5bG9hZA",
        signature: "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        holds: false,
    },
    Example {
        name: "rfc7515_a5_none_is_refused",
        key: RSA_OF_7515,
        header: r#"{"alg":"none"}"#,
        payload: JOE,
        signature: "",
        holds: false,
    },
    Example {
        name: "rfc7520_4_1_rs256",
        key: BILBOS_RSA,
        header: r#"{"alg":"RS256","kid":"bilbo.baggins@hobbiton.example"}"#,
        payload: BILBO,
        signature: "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        holds: true,
    },
    Example {
        name: "rfc7520_4_2_ps384",
        key: BILBOS_RSA,
        header: r#"{"alg":"PS384","kid":"bilbo.baggins@hobbiton.example"}"#,
        payload: BILBO,
        signature: "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        holds: true,
    },
    Example {
        name: "rfc8037_a4_ed25519",
        key: r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        header: r#"{"alg":"EdDSA"}"#,
        payload: "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        holds: true,
    },
];

pub(crate) fn trials() -> Vec<Trial> {
    let trial =
        |example: Example| Trial::test(format!("rfc::{}", example.name), move || check(&example));
    EXAMPLES
        .into_iter()
        .map(trial)
        .chain([Trial::test("rfc::rfc7515_a6_json_is_refused", json_form)])
        .collect()
}

/// The JSON forms of RFC 7515 section 7.2 around a good signature.
fn json_form() -> Result<(), Failed> {
    let good = EXAMPLES
        .iter()
        .find(|example| example.name == "rfc7515_a2_rs256")
        .ok_or("the example is there")?;
    let keys = format!(r#"{{"keys":[{}]}}"#, good.key);
    let protected = URL_SAFE_NO_PAD.encode(good.header);
    let (payload, signature) = (good.payload, good.signature);
    for form in [
        format!(r#"{{"payload":"{payload}","protected":"{protected}","signature":"{signature}"}}"#),
        format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#
        ),
    ] {
        assert!(!is_signed_by(keys.as_bytes(), &form));
    }
    Ok(())
}

/// Beside a key that has nothing to do with it: the example as it is, and after a change of each of its parts.
fn check(example: &Example) -> Result<(), Failed> {
    let signed_by = |header: &str, payload: &str, signature: &str| {
        let algorithm = if header.contains("PS384") {
            "PS384"
        } else {
            "RS256"
        };
        let key = example.key.replace("ALG", algorithm);
        let keys = format!(r#"{{"keys":[{key},{UNRELATED}]}}"#);
        let header = URL_SAFE_NO_PAD.encode(header);
        is_signed_by(keys.as_bytes(), &format!("{header}.{payload}.{signature}"))
    };
    let (header, payload, signature) = (example.header, example.payload, example.signature);
    assert_eq!(signed_by(header, payload, signature), example.holds);
    assert!(!signed_by(
        header,
        &payload.replacen('e', "f", 1).replacen('S', "T", 1),
        signature
    ));
    assert!(!signed_by(
        header,
        payload,
        &signature
            .replacen('c', "d", 1)
            .replacen('h', "i", 1)
            .replacen('D', "E", 1)
            .replacen('M', "N", 1)
            .replacen('A', "B", 1)
    ));
    assert!(!signed_by(header, payload, ""));
    for algorithm in ["none", "HS256", "RS256", "RS384", "PS256", "ES256", "EdDSA"] {
        let other = format!(r#"{{"alg":"{algorithm}"}}"#);
        assert!(
            header.contains(algorithm) || !signed_by(&other, payload, signature),
            "{algorithm}"
        );
    }
    Ok(())
}
