//! Fuzzing without a compiler that knows how: fixtures, mutated at random, for a while. What is found is told with the seed that
//! brings it back.

use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cap::Cap;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// So many bytes may be held at once for each byte of input, and so many more.
const BYTES_PER_BYTE: usize = 64;
const BYTES_MORE: usize = 1 << 20;
/// Inputs don't grow beyond this, in bytes.
const INPUT_MAX: usize = 64 * 1024;
/// What is apt to be read wrongly.
const PIECES: [&[u8]; 28] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"0.5",
    b"\"\\ud83d\"",
    b"\"\\u0000\"",
    b"\xff",
    b"\xf0\x9f",
    b"\r\n",
    b"\n\n",
    b"data: ",
    b"event: ",
    b"\"\"",
    b"{}",
    b"[]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"\"type\":\"text\",",
    b"--X\r\n",
];

/// What is run, by its name.
type Target = (&'static str, fn(&[u8]));

/// Runs the targets in turn on mutations of the seeds, for `SLUICEGATE_FUZZ_SECONDS` (10). `SLUICEGATE_FUZZ_SEED` brings a history
/// back. `SLUICEGATE_FUZZ_SEEDS` names a folder that they are written to instead.
pub(crate) fn run(targets: &[Target], seeds: &[(String, Vec<u8>)]) {
    if let Some(folder) = std::env::var_os("SLUICEGATE_FUZZ_SEEDS") {
        return write(Path::new(&folder), seeds);
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("SLUICEGATE_FUZZ_SECONDS").unwrap_or(10);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    let first = number("SLUICEGATE_FUZZ_SEED").unwrap_or(now);
    println!("seed {first}");
    for (name, data) in seeds {
        targets.iter().for_each(|target| one(target, data, name));
    }
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = 0u64;
    while Instant::now() < end {
        let seed = first.wrapping_add(rounds);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let target = &targets[random.below(targets.len())];
        // Two of three inputs are of the kind that the target reads.
        let kind = target.0.split('_').next().unwrap_or_default();
        let own: Vec<&Vec<u8>> =
            seeds.iter().filter(|(name, _)| name.starts_with(kind)).map(|(_, data)| data).collect();
        let data = match random.below(3) {
            0 => &seeds[random.below(seeds.len())].1,
            _ if own.is_empty() => &seeds[random.below(seeds.len())].1,
            _ => own[random.below(own.len())],
        };
        let other = &seeds[random.below(seeds.len())].1;
        let data = mutated(data, other, &mut random);
        one(target, &data, &format!("SLUICEGATE_FUZZ_SEED={seed}"));
        rounds += 1;
    }
    println!("{rounds} inputs from seed {first}, at most {} bytes held", MEMORY.max_allocated());
}

/// Writes the seeds down instead, each below a folder for its kind, for `cargo xtask fuzz`.
fn write(folder: &Path, seeds: &[(String, Vec<u8>)]) {
    for (number, (name, data)) in seeds.iter().enumerate() {
        let kind = folder.join(name.split(' ').next().unwrap_or_default());
        std::fs::create_dir_all(&kind).unwrap();
        std::fs::write(kind.join(number.to_string()), data).unwrap();
    }
}

fn one((name, target): &Target, data: &[u8], from: &str) {
    let (held, most) = (MEMORY.allocated(), MEMORY.max_allocated());
    let result = catch_unwind(AssertUnwindSafe(|| target(data)));
    let peak = MEMORY.max_allocated();
    let told = || format!("`{name}` by {from}, {} bytes: {}", data.len(), String::from_utf8_lossy(data));
    assert!(result.is_ok(), "{}", told());
    // The peak is that of all inputs so far: only one that raised it is known to be this one's.
    let used = if peak > most { peak.saturating_sub(held) } else { 0 };
    assert!(used <= data.len() * BYTES_PER_BYTE + BYTES_MORE, "{used} bytes are held: {}", told());
    let left = MEMORY.allocated().saturating_sub(held);
    assert!(left <= BYTES_MORE, "{left} bytes are left behind: {}", told());
}

/// Xorshift: good enough, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n.max(1)
    }

    /// A stretch of what is so long, rarely a long one.
    fn stretch(&mut self, len: usize) -> std::ops::Range<usize> {
        let from = self.below(len + 1);
        let most = [4, 32, 256, len][self.below(4)];
        from..(from + self.below(most + 1)).min(len)
    }
}

fn mutated(data: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(data.len() + 1);
        match random.below(9) {
            0 if !data.is_empty() => {
                let at = random.below(data.len());
                data[at] ^= 1 << random.below(8);
            }
            1 => data.truncate(at),
            2 => drop(data.drain(random.stretch(data.len()))),
            3 => {
                let copy = data[random.stretch(data.len())].to_vec();
                for _ in 0..=random.below(16) {
                    data.splice(at..at, copy.iter().copied());
                }
            }
            4 => drop(data.splice(at..at, other[random.stretch(other.len())].iter().copied())),
            5 => drop(data.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            // Most of what JSON says is in its words: one of them for another.
            6 | 7 => {
                if let (Some(to), Some(from)) = (word(&data, random), word(other, random)) {
                    data.splice(to, other[from].iter().copied());
                }
            }
            _ => {
                if let (Some(to), Some(from)) = (word(&data, random), word(&data, random)) {
                    let copy = data[from].to_vec();
                    data.splice(to, copy);
                }
            }
        }
        data.truncate(INPUT_MAX);
    }
    data
}

/// Where a string stands, quotes included, or a number or word.
fn word(data: &[u8], random: &mut Random) -> Option<std::ops::Range<usize>> {
    let from = random.below(data.len());
    let start = from + data.get(from..)?.iter().position(|byte| b"\":[, ".contains(byte))?;
    let is_string = data.get(start) == Some(&b'"');
    let start = if is_string { start } else { start + 1 };
    let ends: &[u8] = if is_string { b"\"" } else { b",}]\n" };
    let len = data.get(start + usize::from(is_string)..)?.iter().position(|byte| ends.contains(byte))?;
    Some(start..start + len + 2 * usize::from(is_string))
}

/// The fixtures of a folder as JSON.
pub(crate) fn texts(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut found: Vec<_> = std::fs::read_dir(&root)
        .unwrap_or_else(|e| panic!("{}: {e}", root.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}
