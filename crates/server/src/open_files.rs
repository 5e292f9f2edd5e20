//! How many files the process may have open, of which every connection is one.
//!
//! What the system lets a process have to begin with is often 1,024, and the limit is reached by
//! everything at once: a look-up, a seal or the next segment of the journal fails as a new
//! connection does. So the limit is raised as far as it may be, and connections leave a reserve.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files are kept for journal, ledger and facts, and for the server's own sockets.
const RESERVE: u64 = 256;

/// Raises the limit as far as the process itself may. An error leaves it as it was, and tells.
pub(crate) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        // Nothing is logged yet.
        remark!("warning: the limit of open files stays {current:?}: {error}");
    }
}

/// How many connections there can be at the most, of those that are configured, beside so many
/// that the server itself opens.
pub(crate) fn connections_max(configured: usize, outbound: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let max = within(configured, outbound, files);
    if max < configured {
        tracing::warn!(
            connections_max = max,
            configured,
            files = files.unwrap_or(u64::MAX),
            "there can be fewer connections than configured: the process may not open more files"
        );
    }
    max
}

/// All but the reserve and what is called, or a quarter where that would be less.
fn within(configured: usize, outbound: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return configured };
    let others = RESERVE.saturating_add(u64::try_from(outbound).unwrap_or(u64::MAX));
    let left = files.saturating_sub(others).max(files / 4);
    configured.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        let cases = [
            (10_000, 0, None, 10_000),
            (10_000, 0, Some(u64::MAX), 10_000),
            (10_000, 0, Some(10_256), 10_000),
            (10_000, 0, Some(10_255), 9_999),
            (10_000, 512, Some(10_768), 10_000),
            (10_000, 512, Some(10_767), 9_999),
            (10_000, 0, Some(1_024), 768),
            (10_000, 300, Some(1_024), 468),
            (10_000, 512, Some(1_024), 256),
            (10_000, usize::MAX, Some(1_024), 256),
            (10_000, 0, Some(256), 64),
            (10_000, 0, Some(0), 1),
            (3, 512, Some(1_024), 3),
        ];
        for (configured, outbound, files, expected) in cases {
            let found = within(configured, outbound, files);
            assert_eq!(found, expected, "{configured} {outbound} {files:?}");
        }
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
