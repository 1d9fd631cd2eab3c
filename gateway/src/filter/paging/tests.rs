//! Which entries stand on a page, how far the upstream is read for it, and where the next one goes on.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use gateway_core::facts::ResourceFacts;
use gateway_core::json::Doc;
use gateway_core::reference::{BaseUrl, Bases};

use super::*;

const FIRST: &str = "Observation?_count=50";

fn plan(count: u32, skip: u64, to_the_end: bool) -> PagePlan {
    PagePlan {
        target: FIRST.to_owned(),
        query: "code=x".to_owned(),
        count,
        to_the_end,
        skip,
        bounds: Bounds { most_entries: 5_000, window: (8_000, 80) },
    }
}

fn paging(count: u32, skip: u64, to_the_end: bool) -> Paging {
    Paging::new(Kind::Searchset, plan(count, skip, to_the_end))
}

/// Reads so many entries of the page under way, all of them visible.
fn shows(paging: &mut Paging, entries: usize) -> Vec<bool> {
    let mut window = Window::default();
    let one = |_| {
        paging.count_entry(&mut window).unwrap();
        paging.takes_place()
    };
    (0..entries).map(one).collect()
}

/// Reads so many entries of the page under way, all of them hidden.
fn hides(paging: &mut Paging, entries: usize) {
    let mut window = Window::default();
    for _ in 0..entries {
        paging.count_entry(&mut window).unwrap();
    }
}

/// The page under way ends; whether the next one is read.
fn turns(paging: &mut Paging, next: Option<&str>) -> bool {
    paging.page_ended(false).unwrap();
    let needed = paging.needed(next.map(str::to_owned));
    assert!(needed.is_none() || needed.as_deref() == next, "it reads another page than the upstream's next one");
    assert_eq!(needed.is_none(), paging.is_done());
    needed.is_some()
}

fn page(target: &str, skip: u64, count: u32) -> Option<Position> {
    Some(Position::UpstreamPage { target: target.to_owned(), skip, after: None, count })
}

/// What takes a place, and nothing but that, counts: where it stands hangs on what is visible before it.
#[test]
fn a_page_holds_what_follows_on_the_earlier_ones() {
    let mut paging = paging(2, 3, true);
    assert!(!paging.is_here(), "what earlier pages held stands there");
    assert_eq!(shows(&mut paging, 3), [false, false, false]);
    assert!(paging.is_here());
    hides(&mut paging, 10);
    assert!(paging.is_here(), "what is hidden takes no place");
    assert_eq!(shows(&mut paging, 3), [true, true, false]);
    assert!(!paging.is_here());
}

#[test]
fn a_page_that_fills_up_goes_on_in_the_middle_of_the_upstreams() {
    let mut paging = paging(4, 0, false);
    shows(&mut paging, 3);
    assert!(turns(&mut paging, Some("p2")), "nothing is known of what lies beyond");
    hides(&mut paging, 2);
    assert_eq!(shows(&mut paging, 3), [true, false, false]);
    assert!(!turns(&mut paging, Some("p3")), "something visible lies beyond: that is enough");
    // One of p2 stands on this page; those after it on the next.
    assert_eq!(paging.next_position(), page("p2", 1, 4));
}

#[test]
fn the_skip_of_a_page_in_the_middle_is_counted_from_its_own_beginning() {
    let mut paging = paging(2, 1, false);
    assert_eq!(shows(&mut paging, 4), [false, true, true, false]);
    assert!(!turns(&mut paging, Some("p2")));
    assert_eq!(paging.next_position(), page(FIRST, 3, 2));
}

#[test]
fn a_page_that_just_holds_all_has_no_next_one() {
    let mut paging = paging(3, 0, false);
    shows(&mut paging, 3);
    assert!(turns(&mut paging, Some("p2")), "that p2 is there must not say that something visible is");
    hides(&mut paging, 5);
    assert!(!turns(&mut paging, None));
    assert_eq!(paging.next_position(), None);
}

/// Where all is hidden it reads `SCAN` entries more than the page holds, then leaves the rest to the next page.
#[test]
fn what_is_looked_at_beyond_the_page_has_an_end() {
    let mut paging = paging(50, 0, false);
    hides(&mut paging, 1_049);
    assert!(turns(&mut paging, Some("p2")));
    hides(&mut paging, 1);
    assert!(!turns(&mut paging, Some("p3")));
    assert_eq!(paging.next_position(), page("p3", 0, 50));
}

#[test]
fn what_is_read_to_its_end_is_read_to_its_end() {
    let mut paging = paging(2, 4, true);
    for target in ["p2", "p3", "p4"] {
        shows(&mut paging, 1_100);
        assert!(turns(&mut paging, Some(target)));
    }
    assert!(!turns(&mut paging, None));
    let next = Position::AfterMatches { query: "code=x".to_owned(), skip: 6, count: 2 };
    assert_eq!(paging.next_position(), Some(next));
}

#[test]
fn what_is_read_to_its_end_and_not_more_than_the_page_holds_has_no_next_one() {
    let mut paging = paging(2, 4, true);
    shows(&mut paging, 6);
    assert!(!turns(&mut paging, None));
    assert_eq!(paging.next_position(), None);
}

/// Where only the total is asked for there is no page, and none after it.
#[test]
fn a_total_has_no_pages() {
    let mut paging = paging(0, 0, true);
    assert_eq!(shows(&mut paging, 3), [false, false, false]);
    assert!(!turns(&mut paging, None));
    assert_eq!(paging.next_position(), None);
    assert_eq!(
        finished(&mut paging),
        r#"{"resourceType":"Bundle","type":"searchset","total":3,"link":[{"relation":"self","url":"self"}]}"#
    );
}

#[test]
fn more_entries_than_the_bounds_are_refused_by_name() {
    for (kind, name) in [(Kind::Searchset, "search-too-large"), (Kind::History, "history-too-large")] {
        let bounds = Bounds { most_entries: 3, window: (8_000, 80) };
        let mut paging = Paging::new(kind, PagePlan { bounds, ..plan(50, 0, true) });
        let mut window = Window::default();
        for _ in 0..3 {
            paging.count_entry(&mut window).unwrap();
        }
        let fourth = paging.count_entry(&mut window);
        assert!(matches!(fourth, Err(Problem::Unfilterable(why)) if why == name), "{fourth:?}");
        assert_eq!(window.counts().entries, 4, "what was read is on record");
    }
}

#[test]
fn empty_pages_without_an_end_are_refused() {
    let empties = |paging: &mut Paging, pages: u32| (0..pages).try_for_each(|_| paging.page_ended(false));
    let mut row = paging(50, 0, true);
    empties(&mut row, 8).unwrap();
    assert!(matches!(empties(&mut row, 1), Err(Problem::Unfilterable("search-too-large"))));

    let mut broken = paging(50, 0, true);
    empties(&mut broken, 8).unwrap();
    hides(&mut broken, 1);
    empties(&mut broken, 9).unwrap();
    assert!(empties(&mut broken, 1).is_err(), "a page with an entry begins the row anew, and no more");

    let mut several = paging(50, 0, true);
    for _ in 0..20 {
        empties(&mut several, 8).unwrap();
        several.page_ended(true).unwrap();
    }
}

/// A batch is an eighth of a window, and a window ends where another one might not fit.
#[test]
fn windows_fill_up_in_batches() {
    let paging = paging(50, 0, true);
    for (bytes, entries, full) in [(0, 0, false), (999, 9, false), (1_000, 1, true), (1, 10, true)] {
        assert_eq!(paging.batch_is_full(bytes, entries), full, "{bytes} bytes of {entries} entries");
    }
    for (bytes, full) in [(0, false), (7_000, false), (7_001, true)] {
        let mut window = Window::default();
        window.bytes.resize(bytes, b' ');
        assert_eq!(paging.window_is_full(&window), full, "{bytes} bytes");
    }
    let (mut window, facts) = (Window::default(), facts());
    for entries in 1..=71 {
        window.disclose(&facts, &[], &[], &[], Vec::new(), None).unwrap();
        assert_eq!(paging.window_is_full(&window), entries > 70, "{entries} entries");
    }
}

fn facts() -> ResourceFacts {
    let base = BaseUrl::parse("http://hapi:8080/fhir").unwrap();
    let bases = Bases { public: base.clone(), upstream: base };
    let source = br#"{"resourceType":"Organization","id":"o"}"#;
    ResourceFacts::of(Doc::parse(source).unwrap().root(), &bases).unwrap()
}

/// All of a Bundle with these elements of `entry`, in two windows.
#[test]
fn the_bundle_around_the_entries_is_written_once() {
    let mut paging = Paging::new(Kind::History, plan(1, 0, true));
    let mut first = Window::default();
    paging.begin(&mut first);
    for entry in ["1", "2"] {
        paging.takes_place();
        paging.separate(&mut first);
        first.bytes.extend_from_slice(entry.as_bytes());
    }
    let whole = format!("{}{}", text(&first), finished(&mut paging));
    let expected = concat!(
        r#"{"resourceType":"Bundle","type":"history","entry":[1,2],"total":2,"#,
        r#""link":[{"relation":"self","url":"self"},{"relation":"next","url":"AfterMatches 1 of 1"}]}"#,
    );
    assert_eq!(whole, expected);
}

/// A total of what many patients have would tell of what is hidden.
#[test]
fn what_is_not_read_to_its_end_has_no_total() {
    let mut paging = paging(1, 0, false);
    shows(&mut paging, 1);
    assert!(turns(&mut paging, Some("p2")));
    shows(&mut paging, 1);
    turns(&mut paging, None);
    let expected = concat!(
        r#"{"resourceType":"Bundle","type":"searchset","#,
        r#""link":[{"relation":"self","url":"self"},{"relation":"next","url":"p2 0 of 1"}]}"#,
    );
    assert_eq!(finished(&mut paging), expected);
}

/// The last window.
fn finished(paging: &mut Paging) -> String {
    let links: Links = Box::new(|position| {
        Ok(match position {
            None => "self".to_owned(),
            Some(Position::UpstreamPage { target, skip, count, .. }) => format!("{target} {skip} of {count}"),
            Some(Position::AfterMatches { skip, count, .. }) => format!("AfterMatches {skip} of {count}"),
        })
    });
    let mut window = Window::default();
    paging.begin(&mut window);
    paging.finish(&mut window, &links).unwrap();
    text(&window)
}

fn text(window: &Window) -> String {
    String::from_utf8(window.bytes.clone()).unwrap()
}

#[test]
fn what_is_costly_is_decided_on_as_far_as_the_page_needs_it() {
    let mut paging = paging(2, 0, false);
    assert_eq!(paging.most_at_once(), 3, "two, and one that says that there are more");
    hides(&mut paging, 3);
    assert_eq!(paging.most_at_once(), 6, "where much is hidden it goes on in larger steps");
    assert!(!paging.is_settled());
    shows(&mut paging, 3);
    assert!(paging.is_settled(), "nothing else is decided on");
    let mut later = self::paging(1, 4, false);
    assert_eq!(later.most_at_once(), 6, "what earlier pages held is counted again");
    let mut whole = self::paging(1, 0, true);
    assert_eq!(whole.most_at_once(), usize::MAX);
    shows(&mut whole, 5);
    assert!(!whole.is_settled(), "it is read to its end");
}

#[test]
fn a_history_goes_on_behind_the_last_entry_shown() {
    let mut paging = Paging::new(Kind::History, plan(1, 0, false));
    let mut window = Window::default();
    for (mark, visible) in [("a", false), ("b", true), ("c", false), ("d", true), ("e", true)] {
        paging.count_entry(&mut window).unwrap();
        if visible {
            paging.goes_on_behind(mark.to_owned());
            paging.takes_place();
        }
    }
    assert!(!turns(&mut paging, Some("Observation/_history?_offset=20")));
    let (target, after) = (FIRST.to_owned(), Some("b".to_owned()));
    assert_eq!(paging.next_position(), Some(Position::UpstreamPage { target, skip: 0, after, count: 1 }));
}
