use super::all;

/// Every target takes some of its seeds, and refuses some input: it looks at both.
#[test]
fn every_target_has_seeds_that_it_takes() {
    for (_, target) in all() {
        let (seeds, candidates) = (target.seeds().len(), (target.candidates)().len());
        assert!(seeds >= 3, "{}: {seeds} of {candidates} are taken", target.name);
    }
}

/// Single bytes of the seeds, altered: the same inputs in every run, a few hundred for each target.
#[test]
fn altered_seeds_hold_too() {
    for (_, target) in all() {
        for (number, seed) in target.seeds().iter().enumerate().take(24) {
            let step = (seed.len() / 16).max(1);
            for at in (number % step..seed.len()).step_by(step) {
                let mut altered = seed.clone();
                altered[at] ^= 1 << (at % 8);
                (target.run)(&altered);
                altered.truncate(at);
                (target.run)(&altered);
            }
        }
    }
}

#[test]
fn names_are_unique_and_say_their_program() {
    let mut names: Vec<&str> = all().iter().map(|(_, target)| target.name).collect();
    for (program, target) in all() {
        assert!(target.name.starts_with(program.trim_start_matches("fuzz-")), "{}", target.name);
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().len());
}
