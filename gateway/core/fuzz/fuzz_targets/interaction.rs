//! Any request parses or is refused; what is forwarded of a search reads back as it was understood.
#![no_main]

use gateway_core::interaction::{Handling, Headers, Interaction, KnownParams, Request, SearchQuery};
use gateway_core::resource_type::ResourceType;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(6, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, path, query) = (line(), line(), line());
    let headers = Headers {
        accept: Some(line()),
        prefer: Some(line()),
        content_type: Some("application/x-www-form-urlencoded"),
        ..Headers::default()
    };
    let form = line().as_bytes();
    let _ = Interaction::parse(&Request { method, path, query, headers, form });

    let mut known = KnownParams::new();
    known.insert(ResourceType::PATIENT, "name");
    let Ok(query) = SearchQuery::parse(query, form) else { return };
    assert_eq!(SearchQuery::parse(&query.to_query(), &[]).as_ref(), Ok(&query));
    let Ok(checked) = query.check(ResourceType::PATIENT, &known, Handling::Lenient) else { return };
    for param in checked.forwarded().params() {
        assert!(!param.key().contains('.') && !param.key().starts_with("_has"));
    }
});
