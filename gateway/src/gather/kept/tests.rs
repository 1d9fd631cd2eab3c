//! Nothing that was asked for before a write is kept after it.

use super::*;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_was_asked_for_before_a_write_is_not_kept() {
    let kept: Kept<&str, u8> = Kept::new(10, LONG);
    kept.keep(kept.asked_at(), [("a", 1), ("b", 1)]);
    let before = kept.asked_at();
    kept.forget(&"a");
    assert_eq!((kept.of(&"a"), kept.of(&"b")), (None, Some(1)));
    kept.keep(before, [("a", 2), ("b", 2)]);
    assert_eq!((kept.of(&"a"), kept.of(&"b")), (None, Some(1)));
    kept.keep(kept.asked_at(), [("a", 3)]);
    assert_eq!(kept.of(&"a"), Some(3));
    let before = kept.asked_at();
    kept.forget_all();
    kept.keep(before, [("a", 4)]);
    assert_eq!((kept.of(&"a"), kept.of(&"b")), (None, None));
}

#[test]
fn nothing_is_kept_for_longer_than_its_age() {
    let kept: Kept<u8, u8> = Kept::new(10, Duration::from_millis(20));
    kept.keep(kept.asked_at(), [(1, 1)]);
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(kept.of(&1), None);
}

#[test]
fn what_holds_of_a_value_is_forgotten_and_not_kept_of_before() {
    let kept: Kept<&str, u8> = Kept::new(10, LONG);
    kept.keep(kept.asked_at(), [("a", 1), ("b", 2), ("c", 2)]);
    let before = kept.asked_at();
    kept.forget_where(|key, value| *value == 2 && *key != "c");
    assert_eq!((kept.of(&"a"), kept.of(&"b"), kept.of(&"c")), (Some(1), None, Some(2)));
    kept.keep(before, [("b", 3)]);
    assert_eq!(kept.of(&"b"), None);
}
