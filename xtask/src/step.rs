//! A run of named steps: headlines, durations and a summary.

use std::time::{Duration, Instant};

use crate::tool::{Done, disk_free};

/// Steps so far and how they ended.
#[derive(Default)]
pub(crate) struct Steps {
    ended: Vec<(String, Duration, Done)>,
}

impl Steps {
    /// Runs a step; a failure is kept for the summary, and the run goes on.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Done) -> bool {
        println!("\n=== {name} ===");
        let started = Instant::now();
        let done = work();
        let took = started.elapsed();
        // A full disk fails whatever comes next, in words that don't name it.
        let free = disk_free().map(|free| format!("; {free} of disk are free")).unwrap_or_default();
        match &done {
            Ok(()) => println!("=== {name}: passed in {:.1} s{free} ===", took.as_secs_f64()),
            Err(message) => {
                println!("=== {name}: FAILED in {:.1} s{free}: {message} ===", took.as_secs_f64())
            }
        }
        let passed = done.is_ok();
        self.ended.push((name.to_owned(), took, done));
        passed
    }

    /// Prints the summary with its closing line; fails when a step did.
    pub(crate) fn finish(self) -> Done {
        println!("\n=== summary ===");
        for (name, took, done) in &self.ended {
            let how = done.as_ref().map_or_else(|message| format!("FAILED: {message}"), |()| "passed".into());
            println!("{:>7.1} s  {name}: {how}", took.as_secs_f64());
        }
        let failed = self.ended.iter().filter(|(_, _, done)| done.is_err()).count();
        println!("{} passed, {failed} failed", self.ended.len() - failed);
        match failed {
            0 => Ok(()),
            n => Err(format!("{n} of {} steps failed", self.ended.len())),
        }
    }
}
