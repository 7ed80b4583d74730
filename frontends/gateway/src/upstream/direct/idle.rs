//! Connections that wait for their next call.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::wire::Wire;
use crate::upstream::http::{IDLE_FOR, IDLE_PER_HOST};

/// How often connections that have waited too long are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Idle connections by where they lead to, the longest idle first.
#[derive(Default)]
pub(super) struct Idle(Mutex<State>);

#[derive(Default)]
struct State {
    // BOUND: `IDLE_PER_HOST` for each address of the configuration, none older than `IDLE_FOR`.
    by_origin: HashMap<Arc<str>, Vec<Waiting>>,
    /// A task looks for connections that have waited too long.
    swept: bool,
}

struct Waiting {
    since: Instant,
    wire: Box<Wire>,
}

impl Idle {
    /// The one that was used last: it is the likeliest to be open still.
    pub(super) fn take(&self, origin: &str) -> Option<Box<Wire>> {
        let mut state = self.0.lock();
        let last = state.by_origin.get_mut(origin)?.pop()?;
        // The others are older: when this one has waited too long, the sweep will find them all.
        (last.since.elapsed() < IDLE_FOR).then_some(last.wire)
    }

    pub(super) fn give(self: &Arc<Self>, origin: &Arc<str>, wire: Box<Wire>) {
        let waiting = Waiting { since: Instant::now(), wire };
        let mut state = self.0.lock();
        match state.by_origin.get_mut(origin) {
            Some(others) => {
                if others.len() >= IDLE_PER_HOST {
                    others.remove(0);
                }
                others.push(waiting);
            }
            None => {
                state.by_origin.insert(Arc::clone(origin), vec![waiting]);
            }
        }
        // Outside of a runtime the next call's end starts it.
        if !state.swept
            && let Ok(runtime) = Handle::try_current()
        {
            state.swept = true;
            runtime.spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what has waited too long. Whether anything is left.
    fn close_old(&self) -> bool {
        let mut state = self.0.lock();
        state.by_origin.retain(|_, waiting| {
            waiting.retain(|one| one.since.elapsed() < IDLE_FOR);
            !waiting.is_empty()
        });
        state.swept = !state.by_origin.is_empty();
        state.swept
    }
}

/// Runs as long as there are connections to look after.
async fn sweep(idle: Weak<Idle>) {
    // BOUND: it ends when no connection is idle any more, or with the client.
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if !idle.upgrade().is_some_and(|idle| idle.close_old()) {
            return;
        }
    }
}
