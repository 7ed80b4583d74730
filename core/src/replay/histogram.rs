//! Counts of numbers by size.

/// Numbers, counted by size in at most 976 steps: what is read is at most a sixteenth too low.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    // BOUND: 976 counts.
    counts: Vec<u32>,
    total: u64,
}

/// Each power of two is cut into so many steps, as a power of two.
const STEP_BITS: u32 = 4;

impl Histogram {
    /// Counts a number.
    pub fn add(&mut self, n: u64) {
        let at = index(n);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
            self.total += 1;
        }
    }

    /// How many numbers were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The number that `percent` of them, 0 to 100, are at most: the least of its step. `None` without any.
    pub fn percentile(&self, percent: u32) -> Option<u64> {
        let rank = (self.total * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(at, count)| {
            seen += u64::from(*count);
            (seen >= rank).then(|| value(at))
        })
    }
}

fn index(n: u64) -> usize {
    let log = n.max(1).ilog2();
    if log < STEP_BITS {
        return n as usize;
    }
    let step = (n >> (log - STEP_BITS)) - (1 << STEP_BITS);
    (((log - STEP_BITS + 1) as usize) << STEP_BITS) + step as usize
}

/// The least number of a step.
fn value(at: usize) -> u64 {
    let (power, step) = ((at >> STEP_BITS) as u32, at as u64 & ((1 << STEP_BITS) - 1));
    if power == 0 { step } else { ((1 << STEP_BITS) + step) << (power - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_a_sixteenth_too_low_at_most() {
        for n in (0..2_000).chain([10_000, 123_456, u64::from(u32::MAX), u64::MAX / 3, u64::MAX]) {
            let read = value(index(n));
            assert!(read <= n && n - read <= n / 16, "{n} {read}");
            assert!(index(n) < 976, "{n}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_numbers() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        (1..=100).for_each(|n| histogram.add(n));
        assert_eq!(histogram.total(), 100);
        for (percent, n) in [(0, 1), (10, 10), (50, 50), (95, 95), (100, 100)] {
            let read = histogram.percentile(percent).unwrap();
            assert!(read <= n && n - read <= n / 16, "{percent}: {read}");
        }
    }
}
