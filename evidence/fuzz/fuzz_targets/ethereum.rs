//! Headers and tries from strangers: nothing falls.
#![no_main]

use evidence::ethereum::{decode_header, prove_account, prove_slot};
use evidence::ids::{Address, Hash};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], [u8; 32], Vec<Vec<u8>>)| {
    let (header, word, proof) = input;
    let root = decode_header(header).map_or(Hash::new(word), |header| header.state_root);
    let _ = prove_account(&root, &Address::new([0; 20]), &proof);
    let _ = prove_slot(&root, &Hash::new(word), &Hash::new(word), &proof);
});
