//! Shares of traffic: by a key that stays, or by the call's seed. There is no other randomness.

use rhai::{Engine, INT, ImmutableString};
use sluicegate_core::hash::finish;

use crate::run::{Outcome, charge, with};

pub(super) fn register(engine: &mut Engine) {
    // For each type rather than for any: that is found faster.
    engine.register_fn("hash_percent", |key: ImmutableString| hash_percent(&key, ""));
    engine
        .register_fn("hash_percent", |key: ImmutableString, salt: ImmutableString| hash_percent(&key, &salt));
    engine.register_fn("hash_percent", |key: INT| hash_percent(&key.to_string(), ""));
    engine
        .register_fn("hash_percent", |key: INT, salt: ImmutableString| hash_percent(&key.to_string(), &salt));
    engine.register_fn("hash_percent", |(): ()| NOBODY);
    engine.register_fn("hash_percent", |(): (), _: ImmutableString| NOBODY);
    engine.register_fn("chance", |percent: INT| chance(percent as f64));
    engine.register_fn("chance", chance);
}

/// The share of a key that isn't there: nothing that asks for "less than" takes it.
const NOBODY: INT = 100;

/// A number from 0 to 99 that depends on the key and the salt alone, now and in every later version.
fn hash_percent(key: &str, salt: &str) -> Outcome<INT> {
    charge(key.len() + salt.len())?;
    let hash = fnv1a(&[salt.as_bytes(), b"\0", key.as_bytes()]);
    Ok(INT::try_from((u128::from(finish(hash)) * 100) >> 64).unwrap_or(0))
}

/// True for so many percent of the calls, by the call's seed. Each question is drawn for itself.
fn chance(percent: f64) -> Outcome<bool> {
    with(|run| {
        let drawn = finish(run.call.seed ^ finish(run.salt.wrapping_add(run.draws)));
        run.draws += 1;
        // The upper 53 bits: what a float holds exactly.
        Ok((drawn >> 11) as f64 / (1u64 << 53) as f64 * 100.0 < percent)
    })
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn fnv1a(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_move() {
        // These figures are a promise: a canary's users must stay in it when the gateway is updated.
        let share = |key: &str, salt: &str| hash_percent(key, salt).unwrap();
        assert_eq!([share("alice", ""), share("bob", ""), share("alice", "b")], [12, 39, 64]);
    }

    #[test]
    fn shares_are_even() {
        let mut counts = [0u32; 100];
        for user in 0..100_000 {
            crate::run::refuel();
            let percent = hash_percent(&format!("user-{user}"), "canary").unwrap();
            counts[usize::try_from(percent).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }
}
