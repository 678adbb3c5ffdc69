//! Certificates at the edges of DER, of the calendar and of what a key may be.

use std::time::{Duration, Instant};

use rcgen::SerialNumber;
use time::macros::datetime;

use super::*;
use crate::crypto::{
    algorithm::SignatureAlgorithm,
    testing::{ca, chain, extension, good_chain, leaf, tlv},
};

const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const RSA_PSS: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const EC: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const NULL: &[u8] = &[5, 0];

#[test]
fn only_der_is_a_certificate() {
    let good = good_chain().der.remove(0);
    let [0x30, 0x82, high, low, content @ ..] = good.as_slice() else { panic!() };
    assert_eq!(tlv(0x30, content), good);
    for (row, bytes) in [
        ("X-18 indefinite length", [&[0x30, 0x80][..], content, &[0, 0]].concat()),
        ("X-18 a longer length than needed", [&[0x30, 0x83, 0, *high, *low][..], content].concat()),
        ("X-18 something after it", [&good[..], &[0]].concat()),
        ("X-18 something at its end", tlv(0x30, &[content, NULL].concat())),
    ] {
        assert!(Certificate::parse(&bytes).is_err(), "{row}");
    }
}

#[test]
fn odd_serial_numbers_are_read() {
    for (row, serial) in [
        ("X-18 zero", vec![0]),
        ("X-18 a byte", vec![0x55]),
        ("X-18 40 bytes", vec![0x7f; 40]),
        ("X-18 0x80", vec![0x80]),
    ] {
        let mut params = leaf("signer");
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let issued = chain(&[params, ca("bench root", None)]).der;
        let [leaf, root] = [0, 1].map(|at: usize| Certificate::parse(&issued[at]).expect(row));
        leaf.verify_signed_by(root.public_key()).expect(row);
        if serial == [0x55] {
            let mut negative = issued[0].clone();
            let at = negative.windows(3).position(|window| window == [2, 1, 0x55]).unwrap();
            negative[at + 2] = 0xd5;
            let negative = Certificate::parse(&negative).expect("X-18 negative");
            assert!(negative.verify_signed_by(root.public_key()).is_err(), "and yet other bytes than were signed");
        }
    }
}

//
#[test]
fn years_are_those_of_rfc_5280() {
    let read = |from, until| {
        let mut params = leaf("signer");
        (params.not_before, params.not_after) = (from, until);
        Certificate::parse(&chain(&[params, ca("bench root", None)]).der[0])
    };
    for (from, until) in [
        (datetime!(1970-01-01 0:00 UTC), datetime!(2049-12-31 23:59:59 UTC)),
        (datetime!(1999-12-31 23:59:59 UTC), datetime!(2050-01-01 0:00 UTC)),
        (datetime!(2025-01-01 0:00 UTC), datetime!(9999-12-31 23:59:59 UTC)),
    ] {
        let certificate = read(from, until).unwrap();
        assert_eq!((certificate.not_before(), certificate.not_after()), (from, until));
    }
    // The year 50 is 1950 and not 2050; times before 1970 have no place in our reader, and are refused.
    assert!(read(datetime!(1950-01-01 0:00 UTC), datetime!(2040-01-01 0:00 UTC)).is_err());
}

fn spki(algorithm: &[&[u8]], key: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(0x30, &algorithm.concat()), tlv(3, &[&[0], key].concat())].concat())
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(2, modulus), tlv(2, exponent)].concat())
}

#[test]
fn keys_that_nobody_should_have_are_refused_at_once() {
    let issued = chain(&[leaf("signer"), ca("bench root", None)]).der;
    let [leaf, root] = [0, 1].map(|at: usize| Certificate::parse(&issued[at]).unwrap());
    let point = root.public_key().bytes();
    assert_eq!(spki(&[EC, P256], point), root.public_key().spki());
    let off_curve = {
        let mut off = point.to_vec();
        off[64] ^= 1;
        off
    };
    let (large, usual) = (vec![0x7f; 8192], [&[0x7f][..], &[0xff; 255]].concat());
    for (row, spki) in [
        ("X-33 64 Kbit modulus", spki(&[RSA, NULL], &rsa(&large, &[1, 0, 1]))),
        ("X-33 exponent of 65 bits", spki(&[RSA, NULL], &rsa(&usual, &[1, 0, 0, 0, 0, 0, 0, 0, 1]))),
        ("X-33 negative modulus", spki(&[RSA, NULL], &rsa(&[0xff; 256], &[1, 0, 1]))),
        ("X-33 off the curve", spki(&[EC, P256], &off_curve)),
        ("X-33 infinity", spki(&[EC, P256], &[0])),
        ("X-33 hybrid", spki(&[EC, P256], &[&[6], &point[1..]].concat())),
        ("X-34 NULL for a curve", spki(&[EC, NULL], point)),
        ("X-34 no curve", spki(&[EC], point)),
        ("X-34 RSA without NULL", spki(&[RSA], &rsa(&usual, &[1, 0, 1]))),
        ("X-34 a key for PSS alone", spki(&[RSA_PSS], &rsa(&usual, &[1, 0, 1]))),
    ] {
        let begun = Instant::now();
        let works = PublicKey::parse(&spki)
            .is_ok_and(|key| SignatureAlgorithm::of_key(&key).is_ok() && leaf.verify_signed_by(&key).is_ok());
        assert!(!works, "{row}");
        assert!(begun.elapsed() < Duration::from_millis(500), "{row}");
    }
    leaf.verify_signed_by(root.public_key()).unwrap();
}

//
#[test]
fn an_extension_may_nest_as_it_likes() {
    let nested = |levels: usize| (0..levels).fold(Vec::new(), |inner, _| tlv(0x30, &inner));
    let with = |oid: &[u64], value: &[u8]| {
        let mut params = leaf("signer");
        params.custom_extensions = vec![extension(oid, value, false)];
        Certificate::parse(&chain(&[params, ca("bench root", None)]).der[0])
    };
    assert!(with(&[1, 2, 3], &nested(5_000)).is_ok(), "what is not understood is read past");
    assert!(with(&[2, 5, 29, 37], &nested(5_000)).is_err(), "what is understood has one shape");
    assert!(matches!(with(&[1, 2, 3], &nested(20_000)), Err(CertificateError::TooLarge { .. })));
}
