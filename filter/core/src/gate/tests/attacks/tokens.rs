//! J rows about tokens.

use p256::ecdsa::Signature;
use ring::hmac;
use serde_json::{Value, json};

use super::forge::{By, Forge, encode, signing_input};
use super::target::{Target, assert_is_refused, changed, sets_no_session};
use crate::gate::step::Step;
use crate::gate::tests::world::{HTML, status};
use crate::oidc::call::MAX_PROVIDER_BODY;
use crate::oidc::compact::MAX_TOKEN;
use crate::testing::{CLIENT, ISSUER};

/// Returns the header of the default token with changes.
fn header(changes: &Value) -> Value {
    let mut header = json!({"alg": "RS256", "typ": "JWT", "kid": "k1"});
    for (name, value) in changes.as_object().unwrap() {
        header[name] = value.clone();
    }
    header
}

#[test]
fn j_01_alg_none() {
    let mut target = Target::new();
    for name in ["none", "None", "NONE", "nOnE"] {
        target.refuses_token(name, |_, claims| {
            format!(
                "{}.",
                signing_input(&json!({"alg": name}).to_string(), &claims.to_string())
            )
        });
        target.refuses_token(name, |forge, claims| {
            forge.with_header(&header(&json!({"alg": name})), &claims)
        });
    }
}

#[test]
fn j_03_alg_missing_or_not_a_string() {
    let mut target = Target::new();
    target.refuses_token("missing", |forge, claims| {
        forge.with_header(&json!({"typ": "JWT", "kid": "k1"}), &claims)
    });
    for alg in [
        json!(null),
        json!(0),
        json!(["RS256"]),
        json!({}),
        json!(""),
    ] {
        target.refuses_token(&alg.to_string(), |forge, claims| {
            forge.with_header(&header(&json!({"alg": alg})), &claims)
        });
    }
}

/// Returns the public key in every form that a careless library might use as a shared secret.
fn public_key_texts(forge: &Forge) -> Vec<Vec<u8>> {
    let pkcs1 = forge.rsa_public_der();
    let length = u16::try_from(pkcs1.len()).unwrap();
    // SubjectPublicKeyInfo of RSA (RFC 5280 section 4.1.2.7) around it.
    let algorithm = [
        0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0,
    ];
    let mut bits = vec![3, 0x82];
    bits.extend((length + 1).to_be_bytes());
    bits.push(0);
    bits.extend(pkcs1);
    let mut spki = vec![0x30, 0x82];
    spki.extend(
        u16::try_from(algorithm.len() + bits.len())
            .unwrap()
            .to_be_bytes(),
    );
    spki.extend(algorithm);
    spki.extend(bits);
    let modulus = base64::Engine::decode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        forge.rsa_key()["n"].as_str().unwrap(),
    );
    vec![
        pem("PUBLIC KEY", &spki),
        pem("RSA PUBLIC KEY", pkcs1),
        spki,
        modulus.unwrap(),
        forge.rsa_key().to_string().into_bytes(),
    ]
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
    .into_bytes()
}

#[test]
fn j_04_hs_rs_confusion() {
    let mut target = Target::new();
    for secret in public_key_texts(&target.forge) {
        target.refuses_token("HS256", |_, claims| {
            let header = header(&json!({"alg": "HS256"}));
            let input = signing_input(&header.to_string(), &claims.to_string());
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            format!(
                "{input}.{}",
                encode(hmac::sign(&key, input.as_bytes()).as_ref())
            )
        });
    }
}

#[test]
fn j_09_unlisted_alg() {
    let mut target = Target::new();
    for alg in [
        "RS1", "HS1", "ES256K", "RSA1_5", "dir", "EdDSA", "RS384", "ES512", "rs256",
    ] {
        target.refuses_token(alg, |forge, claims| {
            forge.with_header(&header(&json!({"alg": alg})), &claims)
        });
    }
}

#[test]
fn j_12_kid_path_injection() {
    refuses_key_ids(&["../../../../dev/null", "/etc/passwd", "file:///dev/null"]);
}

#[test]
fn j_13_kid_as_query() {
    refuses_key_ids(&["x' UNION SELECT 'k", "$(id)", "{{7*7}}"]);
}

/// The core calls only the provider's own addresses: [`Target::answer_with`] knows all of them.
#[test]
fn j_14_kid_as_url() {
    refuses_key_ids(&["http://127.0.0.1:9/k", "https://evil.test/k"]);
}

fn refuses_key_ids(ids: &[&str]) {
    let mut target = Target::new();
    for id in ids {
        // With and without the MAC of an empty file as the signature.
        target.refuses_token(id, |forge, claims| {
            forge.with_header(&header(&json!({"kid": id})), &claims)
        });
        target.refuses_token(id, |_, claims| {
            let input = signing_input(
                &header(&json!({"kid": id, "alg": "HS256"})).to_string(),
                &claims.to_string(),
            );
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"");
            format!(
                "{input}.{}",
                encode(hmac::sign(&key, input.as_bytes()).as_ref())
            )
        });
    }
}

#[test]
fn j_15_kid_odd() {
    let mut target = Target::new();
    let long = "k".repeat(1024 * 1024);
    for kid in [
        json!(long),
        json!("k1\0"),
        json!("k1\r\n"),
        json!("\u{1b}[31mk1"),
        json!(1),
        json!(null),
        json!(["k1"]),
        json!(" k1"),
    ] {
        let what = format!("{:.20}", kid.to_string());
        target.refuses_token(&what, |forge, claims| {
            forge.with_header(&header(&json!({"kid": kid})), &claims)
        });
    }
}

#[test]
fn j_17_unknown_kid() {
    let mut target = Target::new();
    target.world.fixture.now = target.world.fixture.now.plus(61);
    for round in 0..3 {
        target.refuses_token("unknown", |forge, claims| {
            forge.with_header(&header(&json!({"kid": format!("fresh-{round}")})), &claims)
        });
    }
    assert_eq!(
        target.calls.get("/jwks"),
        Some(&1),
        "one forced look at the keys"
    );
    target.world.fixture.now = target.world.fixture.now.plus(60);
    target.refuses_token("unknown", |forge, claims| {
        forge.with_header(&header(&json!({"kid": "fresh"})), &claims)
    });
    assert_eq!(
        target.calls.get("/jwks"),
        Some(&2),
        "and one more a minute later"
    );
}

#[test]
fn j_18_address_of_keys_in_the_header() {
    let mut target = Target::new();
    for name in ["jku", "x5u"] {
        target.refuses_token(name, |_, claims| {
            let header = header(&json!({name: "https://evil.test/jwks", "alg": "ES256"}));
            Forge::with_seed(9).token(By::Es256, &header.to_string(), &claims.to_string())
        });
    }
}

#[test]
fn j_19_key_in_the_header() {
    let mut target = Target::new();
    let own = Forge::with_seed(9);
    for (kid, extra) in [
        (json!("e1"), json!({"jwk": own.ec_key()})),
        (json!("e1"), json!({"jwk": own.ec_key().to_string()})),
        (json!("other"), json!({"jwk": own.ec_key()})),
        (json!("e1"), json!({"x5c": ["MIIB"]})),
    ] {
        target.refuses_token(&extra.to_string(), |_, claims| {
            let mut header = header(&extra);
            header["alg"] = json!("ES256");
            header["kid"] = kid;
            Forge::with_seed(9).token(By::Es256, &header.to_string(), &claims.to_string())
        });
    }
}

#[test]
fn j_20_crit() {
    let mut target = Target::new();
    for more in [
        json!({"crit": ["exp"]}),
        json!({"crit": ["urn:x"], "urn:x": 1}),
        json!({"crit": []}),
        json!({"crit": "exp"}),
        json!({"crit": null}),
        json!({"crit": ["b64"], "b64": false}),
    ] {
        target.refuses_token(&more.to_string(), |forge, claims| {
            forge.with_header(&header(&more), &claims)
        });
    }
}

#[test]
fn j_21_typ_confusion() {
    let mut target = Target::new();
    for typ in [
        "logout+jwt",
        "at+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "application/at+jwt",
        "",
    ] {
        target.refuses_token(typ, |forge, claims| {
            forge.with_header(&header(&json!({"typ": typ})), &claims)
        });
    }
    for typ in ["JWT", "jwt"] {
        target.accepts_token(typ, |forge, claims| {
            forge.with_header(&header(&json!({"typ": typ})), &claims)
        });
    }
}

#[test]
fn j_23_aud_wrong() {
    let mut target = Target::new();
    target.refuses_claim("aud", None);
    for audience in [
        json!("other"),
        json!(""),
        json!(null),
        json!(1),
        json!({}),
        json!([]),
        json!("rp other"),
        json!(["other"]),
        json!([CLIENT, 1]),
        json!([[CLIENT]]),
        json!("RP"),
    ] {
        target.refuses_claim("aud", Some(audience));
    }
}

#[test]
fn j_24_aud_array_with_own_id() {
    let mut target = Target::new();
    let several = json!([CLIENT, "other"]);
    target.refuses_claim("aud", Some(several.clone()));
    for (party, accepted) in [("other", false), (CLIENT, true)] {
        let forged = |forge: &Forge, claims| {
            let claims = changed(claims, "aud", Some(several.clone()));
            forge.honest(&changed(claims, "azp", Some(json!(party))))
        };
        if accepted {
            target.accepts_token(party, forged);
        } else {
            target.refuses_token(party, forged);
        }
    }
}

#[test]
fn j_25_azp_wrong() {
    let mut target = Target::new();
    for party in [json!("other"), json!(""), json!(null), json!([CLIENT])] {
        target.refuses_claim("azp", Some(party));
    }
    target.accepts_claim("azp", json!(CLIENT));
}

#[test]
fn j_26_nonce() {
    let mut target = Target::new();
    target.refuses_claim("nonce", None);
    for nonce in [json!(""), json!("other"), json!(null), json!(1)] {
        target.refuses_claim("nonce", Some(nonce));
    }
    target.refuses_token("array", |forge, claims| {
        let list = json!([claims["nonce"]]);
        forge.honest(&changed(claims, "nonce", Some(list)))
    });
    target.refuses_token("trailing space", |forge, claims| {
        let padded = json!(format!("{} ", claims["nonce"].as_str().unwrap()));
        forge.honest(&changed(claims, "nonce", Some(padded)))
    });
    // The nonce of the same browser's other tab.
    let first = target.come_back();
    let second = target.come_back_with(first.jar.clone());
    let token = target.forge.honest(&target.claims(&first));
    let Step::Reply(reply) = target.answer(second.step, &token) else {
        panic!("a reply")
    };
    assert_is_refused("the other tab's nonce", &reply);
    target.still_serves("the other tab's nonce");
}

#[test]
fn j_27_exp() {
    let mut target = Target::new();
    let now = target.world.fixture.now.0;
    target.refuses_claim("exp", None);
    for expiry in [
        json!(now - 61),
        json!("9999999999"),
        json!(-1),
        json!(1e300),
        json!(9_007_199_254_740_993_u64),
        json!(null),
        json!([now + 300]),
    ] {
        target.refuses_claim("exp", Some(expiry));
    }
    target.refuses_token("NaN", |forge, claims| {
        let payload = claims
            .to_string()
            .replacen(&(now + 300).to_string(), "NaN", 1);
        forge.token(By::Rs256, &header(&json!({})).to_string(), &payload)
    });
    // A token for ten years does not make a longer session.
    let jar = target.accepts_claim("exp", json!(now + 10 * 365 * 86400));
    target.world.fixture.now = target.world.fixture.now.plus(14 * 3600);
    let _ = target.world.visit("app.test", "/", &jar);
    target.learn();
    assert_eq!(status(&target.world.visit("app.test", "/", &jar)), 303);
}

#[test]
fn j_29_nbf() {
    let mut target = Target::new();
    let now = target.world.fixture.now.0;
    target.accepts_claim("nbf", json!(now + 30));
    for start in [
        json!(now + 120),
        json!(now.to_string()),
        json!(null),
        json!(-1),
    ] {
        target.refuses_claim("nbf", Some(start));
    }
}

#[test]
fn j_30_iat() {
    let mut target = Target::new();
    let now = target.world.fixture.now.0;
    target.accepts_claim("iat", json!(now + 30));
    target.refuses_claim("iat", None);
    for issued in [
        json!(now + 120),
        json!(now - 86400),
        json!(now.to_string()),
        json!(null),
    ] {
        target.refuses_claim("iat", Some(issued));
    }
}

#[test]
fn j_32_duplicate_keys() {
    let mut target = Target::new();
    for twin in [
        r#"{"email":"m@evil.test","#.to_owned(),
        r#"{"\u0065mail":"m@evil.test","#.to_owned(),
        format!(r#"{{"iss":"{ISSUER}","#),
        format!(r#"{{"aud":"{CLIENT}","#),
        r#"{"sub":"s-alice@corp.test","#.to_owned(),
    ] {
        target.refuses_token(&twin, |forge, claims| {
            let payload = claims.to_string().replacen('{', &twin, 1);
            forge.token(By::Rs256, &header(&json!({})).to_string(), &payload)
        });
    }
    for twin in [r#"{"alg":"RS256","#, r#"{"kid":"k1","#, r#"{"x":1,"x":2,"#] {
        target.refuses_token(twin, |forge, claims| {
            let header = header(&json!({})).to_string().replacen('{', twin, 1);
            forge.token(By::Rs256, &header, &claims.to_string())
        });
    }
}

#[test]
fn j_34_huge_token() {
    let mut target = Target::new();
    let long = |length: usize| Some(json!("x".repeat(length)));
    target.refuses_token("2 MiB", |forge, claims| {
        forge.honest(&changed(claims, "x", long(2 << 20)))
    });
    target.refuses_token("20,000 claims", |forge, mut claims| {
        for number in 0..20_000 {
            claims[format!("claim-{number}")] = json!(number);
        }
        forge.honest(&claims)
    });
    target.refuses_token("a header of 128 KiB", |forge, claims| {
        forge.with_header(&header(&json!({"x": "x".repeat(128 << 10)})), &claims)
    });
    target.accepts_token("nearly the longest", |forge, claims| {
        forge.honest(&changed(claims, "x", long(MAX_TOKEN / 4 * 3 - 1200)))
    });
    // A body that the proxy has cut is one byte longer than the limit: the answer is not used, whatever it contains.
    let callback = target.come_back();
    let body = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_PROVIDER_BODY));
    let Step::Reply(reply) = target.answer_with(callback.step, 200, &body) else {
        panic!("a reply")
    };
    assert_is_refused("a token answer beyond the limit", &reply);
    assert_eq!(reply.status, 502);
    target.still_serves("a token answer beyond the limit");
}

#[test]
fn j_36_segments() {
    type Shape = fn(String) -> String;
    let mut target = Target::new();
    let shapes: [(&str, Shape); 14] = [
        ("nothing", |_| String::new()),
        ("one part", |token| {
            token.split('.').next().unwrap().to_owned()
        }),
        ("two parts", |token| {
            token.rsplit_once('.').unwrap().0.to_owned()
        }),
        ("four parts", |token| format!("{token}.AAAA")),
        ("five parts", |token| format!("{token}.AAAA.AAAA")),
        ("six parts", |token| format!("{token}.AAAA.AAAA.AAAA")),
        ("empty header", |token| {
            format!(".{}", token.split_once('.').unwrap().1)
        }),
        ("empty payload", |token| {
            let parts: Vec<&str> = token.split('.').collect();
            format!("{}..{}", parts[0], parts[2])
        }),
        ("leading dot", |token| format!(".{token}")),
        ("trailing dot", |token| format!("{token}.")),
        ("a space", |token| format!("{token} ")),
        ("a line end", |token| format!("{token}\n")),
        ("padding", |token| format!("{token}=")),
        ("JSON serialisation", |token| {
            let parts: Vec<&str> = token.split('.').collect();
            json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string()
        }),
    ];
    for (what, shape) in shapes {
        target.refuses_token(what, |forge, claims| shape(forge.honest(&claims)));
    }
}

/// The order of P-256 (SEC 2 section 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn j_37_ecdsa_zero() {
    let mut one = [0; 32];
    one[31] = 1;
    let mut before = ORDER;
    before[31] -= 1;
    let edges = [[0; 32], one, before, ORDER];
    let mut target = Target::new();
    for r in edges {
        for s in edges {
            target.refuses_token("an edge of the group", |_, claims| {
                let header = header(&json!({"alg": "ES256", "kid": "e1"}));
                let input = signing_input(&header.to_string(), &claims.to_string());
                format!("{input}.{}", encode(&[r, s].concat()))
            });
        }
    }
    target.refuses_token("DER", |forge, claims| {
        let header = header(&json!({"alg": "ES256", "kid": "e1"}));
        let input = signing_input(&header.to_string(), &claims.to_string());
        let signature = Signature::from_slice(&forge.sign(By::Es256, input.as_bytes())).unwrap();
        format!("{input}.{}", encode(signature.to_der().as_bytes()))
    });
}

/// Returns the other of two valid signatures: tokens are distinguished by their content, never by their signature.
#[test]
fn j_39_ecdsa_malleability() {
    let mut target = Target::new();
    target.accepts_token("r, n-s", |forge, claims| {
        let header = header(&json!({"alg": "ES256", "kid": "e1"}));
        let input = signing_input(&header.to_string(), &claims.to_string());
        let signature = Signature::from_slice(&forge.sign(By::Es256, input.as_bytes())).unwrap();
        let (r, s) = signature.split_scalars();
        let twin = Signature::from_scalars(r, -s).unwrap();
        assert_ne!(twin, signature);
        format!("{input}.{}", encode(&twin.to_bytes()))
    });
}

#[test]
fn j_42_padding_swap() {
    let mut target = Target::new();
    for (alg, by) in [
        ("PS256", By::Rs256),
        ("RS256", By::Ps256),
        ("PS256", By::Ps256),
        ("PS384", By::Ps256),
    ] {
        target.refuses_token(&format!("{by:?} as {alg}"), |forge, claims| {
            forge.token(
                by,
                &header(&json!({"alg": alg})).to_string(),
                &claims.to_string(),
            )
        });
    }
}

#[test]
fn j_54_at_hash() {
    let mut target = Target::new();
    for hash in [
        json!("AAAAAAAAAAAAAAAAAAAAAA"),
        json!(""),
        json!(null),
        json!(1),
    ] {
        target.refuses_claim("at_hash", Some(hash));
    }
    target.accepts_token("absent", Forge::honest_claims);
    target.accepts_token("right", |forge, claims| {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(b"at");
        forge.honest(&changed(
            claims,
            "at_hash",
            Some(json!(encode(&digest[..16]))),
        ))
    });
}

#[test]
fn j_55_tokens_of_another_use() {
    let mut target = Target::new();
    // An access token is used instead of the ID token.
    target.refuses_token("an access token", |forge, claims| {
        forge.with_header(
            &header(&json!({"typ": "at+jwt"})),
            &changed(claims, "aud", Some(json!("https://api.test"))),
        )
    });
    target.refuses_token("an opaque access token", |_, _| {
        "2YotnFZFEjr1zCsicMWpAA".to_owned()
    });
    // An ID token is used as a bearer token.
    let callback = target.come_back();
    let token = target.forge.honest(&target.claims(&callback));
    for scheme in ["Bearer", "bearer", "Pomerium"] {
        let value = format!("{scheme} {token}");
        for browser in [&[][..], &[HTML]] {
            let mut headers: Vec<(&str, &[u8])> = vec![("authorization", value.as_bytes())];
            headers.extend(browser);
            let step = target.send("GET", "/", &headers);
            assert!(matches!(status(&step), 303 | 401), "{scheme}: {step:?}");
        }
    }
    target.still_serves("an ID token as bearer");
}

#[test]
fn j_57_userinfo_about_somebody_else() {
    let mut target = Target::new();
    for sub in [
        json!("other"),
        json!(null),
        json!(""),
        json!(["s-alice@corp.test"]),
        json!("S-ALICE@corp.test"),
    ] {
        target.userinfo = Some((
            200,
            json!({"sub": sub, "email": "alice@corp.test"}).to_string(),
        ));
        target.refuses_token("userinfo", |forge, claims| {
            forge.honest(&changed(claims, "email", None))
        });
    }
    target.userinfo = Some((200, json!({"email": "alice@corp.test"}).to_string()));
    target.refuses_token("no sub", |forge, claims| {
        forge.honest(&changed(claims, "email", None))
    });
}

#[test]
fn j_58_userinfo_shapes() {
    let mut target = Target::new();
    let jwt = target
        .forge
        .honest(&json!({"sub": "s-alice@corp.test", "email": "alice@corp.test"}));
    for (status, body) in [
        (200, "[]"),
        (200, r#"["s-alice@corp.test"]"#),
        (200, "null"),
        (200, ""),
        (200, "<html>"),
        (
            200,
            r#"{"sub":"s-alice@corp.test","sub":"s-alice@corp.test"}"#,
        ),
        (200, &*jwt),
        (401, r#"{"error":"invalid_token"}"#),
        (302, ""),
        (500, ""),
        (0, ""),
    ] {
        target.userinfo = Some((status, body.to_owned()));
        // Without UserInfo there is no address that a policy could allow.
        let (step, _) =
            target.try_token(|forge, claims| forge.honest(&changed(claims, "email", None)));
        let Step::Reply(reply) = step else {
            panic!("{body}: {step:?}")
        };
        if reply.status != 303 {
            assert_is_refused(body, &reply);
        }
        target.still_serves(body);
    }
}

#[test]
fn j_59_distributed_claims() {
    let mut target = Target::new();
    let sources = json!({"_claim_names": {"email": "a"}, "_claim_sources": {"a": {"endpoint": "https://evil.test/c"}}});
    for with_email in [true, false] {
        let mut answer = sources.clone();
        answer["sub"] = json!("s-alice@corp.test");
        target.userinfo = Some((200, answer.to_string()));
        // Any call but to the provider's own addresses would end the test.
        let (step, _) = target.try_token(|forge, claims| {
            let mut claims = if with_email {
                claims
            } else {
                changed(claims, "email", None)
            };
            for (name, value) in sources.as_object().unwrap() {
                claims[name] = value.clone();
            }
            forge.honest(&claims)
        });
        assert!(matches!(step, Step::Reply(_)), "{step:?}");
        target.still_serves("distributed claims");
    }
}

#[test]
fn j_60_jwe() {
    let mut target = Target::new();
    for header in [
        json!({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "k1"}),
        json!({"alg": "dir", "enc": "A128CBC-HS256", "zip": "DEF", "kid": "k1"}),
        json!({"alg": "RS256", "kid": "k1", "zip": "DEF"}),
    ] {
        target.refuses_token(&header.to_string(), |_, _| {
            let bomb = encode(&[0; 30_000]);
            format!(
                "{}.AAAA.AAAA.{bomb}.AAAA",
                encode(header.to_string().as_bytes())
            )
        });
    }
}

/// The default token is accepted, so that the tokens above are refused only for what was changed in them.
#[test]
fn the_default_token_is_accepted() {
    let mut target = Target::new();
    target.accepts_token("RS256", Forge::honest_claims);
    for (by, alg, kid) in [(By::Es256, "ES256", "e1"), (By::EdDsa, "EdDSA", "d1")] {
        target.accepts_token(alg, |forge, claims| {
            forge.token(
                by,
                &header(&json!({"alg": alg, "kid": kid})).to_string(),
                &claims.to_string(),
            )
        });
    }
    let callback = target.come_back();
    let token = target.forge.honest(&target.claims(&callback));
    let Step::Reply(reply) = target.answer(callback.step, &token) else {
        panic!("a reply")
    };
    assert!(!sets_no_session(&reply), "the check for sessions sees one");
}
