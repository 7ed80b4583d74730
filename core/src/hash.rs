//! A stable hash, for choices that must come out alike on any machine and in any version. Not for secrets, and not against
//! people who look for collisions: all that they gain is a channel.

/// A hash of `bytes`: FNV-1a's idea eight bytes at a time, finished by [`mix`].
pub fn stable(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    let mut chunks = bytes.chunks_exact(8);
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    for chunk in &mut chunks {
        hash = step(hash, chunk.try_into().map_or(0, u64::from_le_bytes));
    }
    let rest = chunks.remainder();
    let last = rest.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    mix(step(hash, last))
}

/// Two hashes in one, order counting.
pub fn join(one: u64, other: u64) -> u64 {
    mix(one.rotate_left(17) ^ other)
}

/// Neighbours become strangers: the number that SplitMix64 (Steele, Lea and Flood 2014) draws in the state `n`.
pub fn mix(n: u64) -> u64 {
    finish(n.wrapping_add(GAMMA))
}

/// SplitMix64: the next number, and the state after it.
pub fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GAMMA);
    finish(*state)
}

/// Spreads every bit over all of them: the finisher of SplitMix64.
pub fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What SplitMix64's state grows by: 2⁶⁴ divided by the golden ratio, odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_changes() {
        // Conversations would change their channels with an update.
        assert_eq!(stable(b""), 12_001_522_100_590_884_858);
        assert_eq!(stable(b"conversation-17"), 12_365_748_750_657_677_579);
    }

    #[test]
    fn every_byte_counts() {
        let text = *b"a prompt of some length";
        let whole = stable(&text);
        for at in 0..text.len() {
            let mut other = text;
            other[at] ^= 1;
            assert_ne!(stable(&other), whole, "byte {at}");
            assert_ne!(stable(&text[..at]), whole);
        }
        assert_ne!(join(1, 2), join(2, 1));
    }
}
