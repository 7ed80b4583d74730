//! Issued keys: how they are made, hashed and compared.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use sluicegate_core::{Error, ErrorKind, Result, Secret};
use subtle::ConstantTimeEq;

/// Every issued key begins so.
pub const PREFIX: &str = "sk-";

/// A custom key must be at least this hard to guess, in bits.
pub const CUSTOM_KEY_BITS: f64 = 128.0;

/// A custom key is at most this long, in bytes.
pub const CUSTOM_KEY_MAX_BYTES: usize = 256;

/// The SHA-256 of a credential: all that is kept of it, and what it is looked up by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of a credential.
    pub fn of(credential: &str) -> Self {
        Self(Sha256::digest(credential.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for KeyHash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for KeyHash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not a hash of 64 hexadecimal digits"))
    }
}

/// A new credential. The text is shown once and never kept.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The credential itself.
    pub secret: Secret,
    /// What is kept of it.
    pub hash: KeyHash,
    /// What people tell it apart by.
    pub hint: String,
}

/// Makes a credential of 256 random bits.
///
/// # Errors
/// `Internal` when the operating system gives no randomness.
pub fn issue() -> Result<Issued> {
    let mut random = [0u8; 32];
    fill_random(&mut random)?;
    Ok(of(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))))
}

/// Takes a credential that somebody chose.
///
/// # Errors
/// `InvalidRequest` when it doesn't begin with `sk-`, holds anything but visible ASCII, or is easier to guess than
/// [`CUSTOM_KEY_BITS`] by estimate.
pub fn custom(credential: &str) -> Result<Issued> {
    let refuse = |why: &str| {
        Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("the custom key {why}; leave it out to have one made"),
        )
        .with("param", "key"))
    };
    let Some(body) = credential.strip_prefix(PREFIX) else {
        return refuse("must begin with `sk-`");
    };
    if credential.len() > CUSTOM_KEY_MAX_BYTES || !body.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse("must be visible ASCII of at most 256 characters");
    }
    if entropy_bits(body) < CUSTOM_KEY_BITS {
        return refuse(
            "is too easy to guess: it needs 128 bits of entropy, such as 32 random hexadecimal digits",
        );
    }
    Ok(of(credential.to_owned()))
}

/// Whether a credential given is the one expected, in a time that doesn't tell how much of it was right.
pub fn same(given: &str, expected: &Secret) -> bool {
    let (given, expected) = (KeyHash::of(given), KeyHash::of(expected.expose()));
    given.0.ct_eq(&expected.0).into()
}

/// What people tell a credential apart by: `sk-...` and its last four characters; less of a short one.
pub fn hint(credential: &str) -> String {
    let tail: String =
        credential.chars().rev().take(if credential.chars().count() >= 16 { 4 } else { 0 }).collect();
    format!("{PREFIX}...{}", tail.chars().rev().collect::<String>())
}

/// A new id: a UUID of version 7, so that ids made later sort later.
///
/// # Errors
/// `Internal` when the operating system gives no randomness.
pub fn new_id(now: sluicegate_core::Timestamp) -> Result<String> {
    let mut b = [0u8; 16];
    fill_random(&mut b)?;
    let ms = now.as_ms().to_be_bytes();
    b[..6].copy_from_slice(&ms[2..]);
    b[6] = 0x70 | (b[6] & 0x0f);
    b[8] = 0x80 | (b[8] & 0x3f);
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// Fills a buffer from the operating system's randomness.
pub(crate) fn fill_random(buffer: &mut [u8]) -> Result<()> {
    getrandom::fill(buffer).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the operating system gives no randomness: {error}"))
    })
}

fn of(credential: String) -> Issued {
    Issued { hash: KeyHash::of(&credential), hint: hint(&credential), secret: Secret::new(credential) }
}

/// An estimate from below of how hard a text is to guess: its Shannon entropy over its own letters, so that
/// repetition counts for little, and never more than its alphabet allows. Sequences such as `abcd…` and `1234…` count
/// one letter.
fn entropy_bits(text: &str) -> f64 {
    let mut seen = [0u32; 256];
    let mut letters = 0u32;
    let mut previous: Option<u8> = None;
    for byte in text.bytes() {
        let follows = previous.is_some_and(|p| byte.abs_diff(p) <= 1);
        previous = Some(byte);
        if !follows {
            seen[usize::from(byte)] += 1;
            letters += 1;
        }
    }
    let total = f64::from(letters.max(1));
    let per_letter: f64 = seen
        .iter()
        .filter(|n| **n > 0)
        .map(|n| {
            let share = f64::from(*n) / total;
            -share * share.log2()
        })
        .sum();
    // A sample of n letters can't show more than log2(n) bits for each, so a good short key is underestimated: 32
    // random hexadecimal digits show about 3.6 of their 4. The factor makes up for that.
    per_letter * 1.25 * total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issued_keys_have_256_bits_and_are_all_different() {
        let (a, b) = (issue().unwrap(), issue().unwrap());
        assert!(
            a.secret.expose().starts_with("sk-") && a.secret.expose().len() == 3 + 43,
            "{}",
            a.secret.expose().len()
        );
        assert_ne!(a.hash, b.hash);
        assert_eq!(KeyHash::from_hex(&a.hash.to_string()), Some(a.hash));
        assert!(
            a.hint.starts_with("sk-...") && a.secret.expose().ends_with(&a.hint[6..]) && a.hint.len() == 10
        );
        assert!(entropy_bits(&a.secret.expose()[3..]) > CUSTOM_KEY_BITS);
    }

    #[test]
    fn hashes_are_plain_sha256_in_hex() {
        assert_eq!(
            KeyHash::of("abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        for wrong in ["", "zz", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert_eq!(KeyHash::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn custom_keys_must_be_hard_to_guess() {
        for good in ["sk-3f9c1e77ab04d25866e1904cfa7b2d38", "sk-kJ8vQ2mZx4Lr9TnYb6WcHd3Fs7Gp5Ae0"] {
            assert!(custom(good).is_ok(), "{good}: {}", entropy_bits(&good[3..]));
        }
        for bad in [
            "3f9c1e77ab04d25866e1904cfa7b2d38",
            "sk-1234",
            "sk-1234567890123456",
            "sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "sk-abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
            "sk-3f9c1e77 b04d25866e1904cfa7b2d38",
            "sk-ключключключключключключключключключ",
        ] {
            assert_eq!(custom(bad).unwrap_err().kind(), ErrorKind::InvalidRequest, "{bad}");
        }
    }

    #[test]
    fn comparison_sees_every_difference() {
        let master = Secret::new("sk-master");
        assert!(same("sk-master", &master));
        assert!(!same("sk-maste", &master) && !same("", &master) && !same("sk-master ", &master));
    }

    #[test]
    fn ids_made_later_sort_later() {
        let (a, b) = (
            new_id(sluicegate_core::Timestamp::from_ms(1_000)).unwrap(),
            new_id(sluicegate_core::Timestamp::from_ms(2_000)).unwrap(),
        );
        assert!(a < b && a.len() == 36, "{a} {b}");
    }
}
