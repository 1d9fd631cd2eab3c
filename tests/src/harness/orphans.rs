//! No part outlives this program, not even where this program is killed: a small shell holds the process groups and ends them when our end of
//! its pipe closes. It knows only groups that this program started and did not end itself.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const GUARD: &str = r#"
live=""
while read -r what group; do
  case "$what" in
    +) live="$live $group" ;;
    -) rest=""
       for one in $live; do [ "$one" = "$group" ] || rest="$rest $one"; done
       live=$rest ;;
  esac
done
for one in $live; do kill -s KILL -- "-$one" 2>/dev/null; done
"#;

static SHELL: OnceLock<Option<Mutex<Child>>> = OnceLock::new();

/// From now on this process group ends with this program.
pub(super) fn adopt(group: i32) {
    tell('+', group);
}

/// This process group has ended.
pub(super) fn forget(group: i32) {
    tell('-', group);
}

fn tell(what: char, group: i32) {
    let shell = SHELL.get_or_init(|| start().ok().map(Mutex::new));
    // Without a shell a kill of this program leaves parts behind; that is a nuisance and no reason to stop.
    if let Some(Ok(mut child)) = shell.as_ref().map(Mutex::lock)
        && let Some(pipe) = child.stdin.as_mut()
    {
        let _ = writeln!(pipe, "{what} {group}");
    }
}

fn start() -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", GUARD])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C at the terminal must reach this program, not the guard.
        .process_group(0)
        .spawn()
}
