//! What the person at the terminal reads while parts are built and started.

#![expect(clippy::print_stderr, reason = "this package's programs talk to a person at a terminal")]

use std::time::{Duration, Instant};

/// One line about what happens now, on standard error.
pub fn step(line: &str) {
    eprintln!("· {line}");
}

/// A warning that must not be overlooked, on standard error.
pub fn loud(line: &str) {
    eprintln!("!! {line}");
}

/// Runs a long step and says every few seconds that it still runs, and at the end how long it took.
///
/// # Errors
/// Those of the step.
pub async fn while_running<T, E>(what: &str, step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let begin = Instant::now();
    eprintln!("· {what} …");
    tokio::pin!(step);
    let mut beat = tokio::time::interval(Duration::from_secs(5));
    beat.tick().await;
    loop {
        tokio::select! {
            done = &mut step => {
                if done.is_ok() && begin.elapsed() >= Duration::from_secs(1) {
                    eprintln!("· {what}: done in {:.1} s", begin.elapsed().as_secs_f64());
                }
                return done;
            }
            _ = beat.tick() => eprintln!("· {what}: {} s so far", begin.elapsed().as_secs()),
        }
    }
}
