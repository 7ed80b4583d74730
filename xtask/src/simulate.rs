//! `cargo xtask simulate`: long runs of the simulation, or one seed again.

use crate::tool::{Done, cargo};

/// Steps of all histories together.
const OPERATIONS: u64 = 10_000_000;
/// Steps of one history.
const STEPS: u64 = 200;

pub(crate) fn run(args: &[String]) -> Done {
    let (mut operations, mut steps, mut first, mut seed) = (OPERATIONS, STEPS, 0, None);
    for pair in args.chunks(2) {
        let [name, value] = pair else { return Err(format!("`{}` needs a number", pair[0])) };
        let number = value.parse().map_err(|_| format!("`{name}` needs a number, not `{value}`"))?;
        match name.as_str() {
            "--operations" => operations = number,
            "--steps" => steps = number,
            "--first" => first = number,
            "--seed" => seed = Some(number),
            _ => {
                return Err(format!(
                    "`{name}` is no option; there are --operations, --steps, --first, --seed"
                ));
            }
        }
    }
    let tool = cargo(["test", "--profile", "simulation", "-p", "sluicegate-tests", "--test", "simulation"])
        .args(["--", "--nocapture"])
        .env("SLUICEGATE_SIM_STEPS", steps.to_string());
    let tool = match seed {
        Some(seed) => tool.env("SLUICEGATE_SIM_SEED", seed.to_string()),
        None => {
            let histories = operations.div_ceil(steps.max(1));
            tool.env("SLUICEGATE_SIM_FIRST", first.to_string())
                .env("SLUICEGATE_SIM_HISTORIES", histories.to_string())
        }
    };
    tool.run()
}
