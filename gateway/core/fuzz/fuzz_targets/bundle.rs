//! However a body is split, the scanner cuts alike; what it cuts into JSON was JSON.
#![no_main]

use gateway_core::json::{BundleScanner, Doc, Piece, ScanError, ScanLimits};
use libfuzzer_sys::fuzz_target;

fn scan(chunks: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<Vec<Piece>, ScanError> {
    let mut scanner = BundleScanner::new(ScanLimits { entry: 1 << 12, head: 1 << 12 });
    let mut pieces = Vec::new();
    for chunk in chunks {
        pieces.extend(scanner.push(chunk.as_ref())?);
    }
    scanner.finish().map(|()| pieces)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, body)) = bytes.split_first() else { return };
    let whole = scan(std::iter::once(body));
    let split = scan(body.chunks(usize::from(*size) % 17 + 1));
    assert_eq!(whole.is_ok(), split.is_ok());
    let (Ok(whole), Ok(split)) = (whole, split) else { return };
    assert_eq!(whole, split);
    let parses = whole.iter().all(|piece| match piece {
        Piece::Entry(raw) => Doc::parse(raw).is_ok(),
        Piece::Head { .. } | Piece::Entries => true,
        // What was skipped was not validated.
        Piece::TooLong(_) => false,
    });
    if parses {
        serde_json::from_slice::<serde::de::IgnoredAny>(body).expect("pieces of JSON make JSON");
    }
});
