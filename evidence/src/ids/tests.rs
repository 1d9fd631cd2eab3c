#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use super::*;

#[test]
fn every_type_prints_what_it_parses_and_serialises_as_it_prints() {
    fn round_trip<T>(text: &str)
    where
        T: std::str::FromStr<Err = IdError> + std::fmt::Display + serde::Serialize + serde::de::DeserializeOwned,
    {
        let value: T = text.parse().unwrap();
        assert_eq!(value.to_string(), text);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<T>(&json).unwrap().to_string(), text);
    }
    round_trip::<EventId>("01934f2e-7c1a-7b3c-8d4e-5f6071829304");
    round_trip::<SourceId>("000102030405060708090a0b0c0d0e0f");
    round_trip::<Hash>(&"ab".repeat(32));
    round_trip::<Commitment>(&"00".repeat(32));
    round_trip::<LogId>(&"ff".repeat(32));
    round_trip::<Salt>(&"12".repeat(32));
    round_trip::<Address>("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed");
    round_trip::<Sequence>("0");
    round_trip::<TreeSize>("18446744073709551615");
    round_trip::<ChainId>("1");
    round_trip::<Origin>("hospital.example/log");
    round_trip::<TenantId>("hospital-a");
    round_trip::<Timestamp>("2026-11-22T16:20:00.123Z");
    round_trip::<Timestamp>("1970-01-01T00:00:00.000Z");
    round_trip::<Timestamp>("9999-12-31T23:59:59.999Z");
}

#[test]
fn an_epoch_is_a_json_number() {
    assert_eq!(serde_json::to_string(&Epoch::new(7)).unwrap(), "7");
    assert_eq!(serde_json::from_str::<Epoch>("4294967295").unwrap().get(), u32::MAX);
    assert!(serde_json::from_str::<Epoch>("4294967296").is_err());
    assert!(serde_json::from_str::<Epoch>("\"7\"").is_err());
}

#[test]
fn other_spellings_are_refused() {
    assert!("01934F2E-7c1a-7b3c-8d4e-5f6071829304".parse::<EventId>().is_err());
    assert!("01934f2e7c1a7b3c8d4e5f6071829304".parse::<EventId>().is_err());
    assert!("{01934f2e-7c1a-7b3c-8d4e-5f6071829304}".parse::<EventId>().is_err());
    for wrong in ["", "AB", &"AB".repeat(32), &"ab".repeat(31), &"ab".repeat(33), &format!("0x{}", "ab".repeat(31))] {
        assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
    }
    for wrong in ["", "-1", "+1", "01", "00", " 1", "1 ", "0x1", "18446744073709551616", "١"] {
        assert!(wrong.parse::<TreeSize>().is_err(), "{wrong}");
    }
    for wrong in ["", "a b", "a+b", "a\nb", "a\u{2003}b", &"a".repeat(256)] {
        assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
    }
    for wrong in [
        "2026-11-22T16:20:00Z",
        "2026-11-22T16:20:00.1234Z",
        "2026-11-22T16:20:00.123+00:00",
        "2026-11-22t16:20:00.123z",
        "2026-02-30T16:20:00.123Z",
        "1969-12-31T23:59:59.999Z",
        "2026-11-22T24:00:00.000Z",
        "2016-12-31T23:59:60.000Z",
    ] {
        assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
    }
}

#[test]
fn an_address_may_carry_a_right_checksum_but_not_a_wrong_one() {
    // The first example of EIP-55.
    let address: Address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().unwrap();
    assert_eq!(address.to_string(), "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed");
    assert!("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse::<Address>().is_err());
    assert!("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed".parse::<Address>().is_err());
}

#[test]
fn a_salt_is_not_shown_by_debug() {
    assert_eq!(format!("{:?}", Salt::new([7; 32])), "Salt(…)");
}
