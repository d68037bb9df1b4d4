use super::*;
use crate::testing::{CLIENT_CERTIFICATE, CLIENT_FINGERPRINT, certificate_header};

fn reader() -> CertificateReader {
    CertificateReader::new(true)
}

#[test]
fn a_certificate_is_read_as_openssl_reads_it() {
    let expected = Certificate {
        fingerprint: CLIENT_FINGERPRINT.to_owned(),
        spki_hash: "o/YQyTjtYjFUNvwsr7p5FGZk8tbSZfjgRziuIHBoj3o=".to_owned(),
        san_dns: vec!["laptop.corp.test".to_owned(), "*.corp.test".to_owned()],
        san_email: vec!["alice@corp.test".to_owned()],
        san_uri: vec!["spiffe://corp.test/alice".to_owned()],
    };
    let (reader, header) = (reader(), certificate_header(CLIENT_CERTIFICATE));
    for turn in ["read", "remembered"] {
        let shown = reader.read(Some(&header));
        assert_eq!(shown, Shown::Valid(Rc::new(expected.clone())), "{turn}");
    }
    let twice = [reader.read(Some(&header)), reader.read(Some(&header))];
    let [Shown::Valid(first), Shown::Valid(second)] = twice else {
        unreachable!()
    };
    assert!(Rc::ptr_eq(&first, &second), "not parsed again");
}

#[test]
fn anything_but_one_certificate_is_invalid() {
    let pem = CLIENT_CERTIFICATE;
    let doubled = format!("{pem}{pem}");
    let renamed = pem.replace("CERTIFICATE", "PUBLIC KEY");
    let changed = pem.replacen("MII", "MIJ", 1);
    let cut = &pem[..pem.len() / 2];
    for text in [doubled.as_str(), &renamed, &changed, cut, "", "x"] {
        let header = certificate_header(text);
        assert_eq!(reader().read(Some(&header)), Shown::Invalid, "{text}");
        assert_eq!(reader().read(Some(&header)), Shown::Invalid, "remembered");
    }
    for header in [&b""[..], b"\xff", &[b'a'; MAX_HEADER + 1]] {
        assert_eq!(reader().read(Some(header)), Shown::Invalid);
    }
}

#[test]
fn none_is_missing_and_nothing_is_read_unasked() {
    assert_eq!(reader().read(None), Shown::Missing);
    let header = certificate_header(CLIENT_CERTIFICATE);
    let unasked = CertificateReader::new(false).read(Some(&header));
    assert_eq!(unasked, Shown::NotAsked);
    assert_eq!(unasked.as_fact(), ClientCertificate::NotAsked);
}

#[test]
fn a_flood_of_certificates_takes_bounded_memory() {
    let reader = reader();
    for number in 0..1000 {
        let _ = reader.read(Some(format!("Cert={number}").as_bytes()));
    }
    assert_eq!(reader.certificates.count_slots(), REMEMBERED);
}
