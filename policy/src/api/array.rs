//! What the script runtime's arrays do wrong.

use rhai::{Array, Dynamic, Engine, EvalAltResult, INT, Position};

use crate::run::{Outcome, charge_operations};
use crate::sandbox::MAX_ARRAY_LEN;

pub(super) fn register(engine: &mut Engine) {
    // The runtime's own multiplies sizes without a look at overflows, and then asks for all the memory there is.
    engine.register_fn("pad", pad);
}

fn pad(own: &mut Array, len: INT, item: Dynamic) -> Outcome<()> {
    let Ok(len) = usize::try_from(len) else { return Ok(()) };
    if len <= own.len() {
        return Ok(());
    }
    // BOUND: before there is such an array, not after. What each item holds is bounded by the runtime.
    if len > MAX_ARRAY_LEN {
        return Err(EvalAltResult::ErrorDataTooLarge("array".to_owned(), Position::NONE).into());
    }
    charge_operations((len - own.len()) as u64)?;
    own.resize(len, item);
    Ok(())
}
