//! What the test under way has done. A test never leaves its thread and never starts another, so each thread has at most
//! one.

use std::cell::RefCell;

use rhai::NativeCallContext;

use super::TestFailure;
use crate::run::Outcome;

/// How many calls one test may route.
const MAX_ROUTES: u32 = 1_000;

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { assertions: 0, routes: 0, routed: 0, failure: None }) };
}

/// The test under way.
#[derive(Default)]
pub(super) struct State {
    pub(super) assertions: u32,
    routes: u32,
    /// What the calls that it routed have used, in operations.
    pub(super) routed: u64,
    /// The first one: a script can't catch its way out of it.
    pub(super) failure: Option<TestFailure>,
}

/// Starts a test, and gives what the one before it has done.
pub(super) fn take() -> State {
    STATE.take()
}

/// BOUND: each call has a fuel of its own, so their number is what bounds a test.
pub(super) fn count_route() -> Outcome<()> {
    let routes = STATE.with_borrow_mut(|state| {
        state.routes += 1;
        state.routes
    });
    if routes <= MAX_ROUTES {
        Ok(())
    } else {
        Err(format!("a test can't route more than {MAX_ROUTES} calls").into())
    }
}

/// Notes what a call has used.
pub(super) fn add_routed(fuel: u64) {
    STATE.with_borrow_mut(|state| state.routed += fuel);
}

/// Counts an assertion, and remembers the first that doesn't hold.
pub(super) fn assert(
    context: &NativeCallContext<'_>,
    holds: bool,
    expected: impl FnOnce() -> String,
    came: impl FnOnce() -> String,
) -> Outcome<()> {
    STATE.with_borrow_mut(|state| {
        state.assertions += 1;
        if holds {
            return Ok(());
        }
        let failure = TestFailure {
            line: context.call_position().line().unwrap_or(0),
            column: context.call_position().position().unwrap_or(0),
            message: format!("`{}` doesn't hold", context.fn_name()),
            expected: Some(expected()),
            came: Some(came()),
        };
        state.failure.get_or_insert(failure);
        Err("an assertion doesn't hold".into())
    })
}
