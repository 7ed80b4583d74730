//! The second step: codes that change every half minute (RFC 6238), and backup codes for who has lost what makes them.

use sluicegate_core::{Error, ErrorKind, Result, Secret, Timestamp, UserId};
use totp_rs::{Builder, Totp};

use crate::credential::{KeyHash, fill_random};

/// Backup codes are made so many at a time.
pub(super) const BACKUP_CODES: usize = 10;
/// What a code's letters are taken from: none that is easily taken for another. 32 of them, so that a byte's five bits are one.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
/// A backup code's letters: 80 bits.
const BACKUP_LETTERS: usize = 16;

/// A new secret for codes: 160 bits, in base 32.
pub(super) fn new_secret() -> Result<Secret> {
    let mut random = [0u8; 20];
    fill_random(&mut random)?;
    Ok(Secret::new(totp_rs::Secret::from(random).to_base32()))
}

/// What an authenticator reads, also as a QR code.
pub(super) fn address(secret: &Secret, user: &UserId) -> Result<String> {
    totp(secret, user)?.to_url().map_err(unusable)
}

/// The half minute that a code is of, counted from 1970, if it is of this one or of one beside it.
pub(super) fn step_of(secret: &Secret, user: &UserId, code: &str, now: Timestamp) -> Result<Option<i64>> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let seconds = u64::try_from(now.as_ms() / 1_000).unwrap_or_default();
    Ok(totp(secret, user)?.check(&code, seconds).and_then(|step| i64::try_from(step).ok()))
}

fn totp(secret: &Secret, user: &UserId) -> Result<Totp> {
    let secret = totp_rs::Secret::try_from_base32(secret.expose()).map_err(unusable)?;
    // A colon would end the issuer's name.
    let name = user.as_str().replace(':', "-");
    Builder::new()
        .with_secret(secret)
        .with_issuer(Some("Sluicegate"))
        .with_account_name(name)
        .build()
        .map_err(unusable)
}

fn unusable(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("the second step's secret can't be used: {why}"))
}

/// New backup codes.
pub(super) fn backup_codes() -> Result<Vec<Secret>> {
    let code = |_| {
        let mut random = [0u8; BACKUP_LETTERS];
        fill_random(&mut random)?;
        let mut text = String::new();
        for (at, byte) in random.iter().enumerate() {
            if at > 0 && at % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(LETTERS[usize::from(byte % 32)]));
        }
        Ok(Secret::new(text))
    };
    (0..BACKUP_CODES).map(code).collect()
}

/// What is kept of a backup code, however it is written.
pub(super) fn backup_hash(user: &UserId, code: &str) -> Option<KeyHash> {
    let plain: String =
        code.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let whole = plain.len() == BACKUP_LETTERS && plain.bytes().all(|byte| LETTERS.contains(&byte));
    whole.then(|| KeyHash::of(&format!("{user}\0{plain}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let user = UserId::from("u:1");
        let step = |code: &str, s: i64| step_of(&secret, &user, code, Timestamp::from_ms(s * 1_000)).unwrap();
        for (s, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            assert_eq!(step(code, s), Some(s / 30), "{code}");
            assert_eq!(
                step(&format!(" {} {}", &code[..3], &code[3..]), s + 30),
                Some(s / 30),
                "{code} half a minute later"
            );
            assert_eq!(step(code, s + 60), None, "{code} a minute later");
        }
        for wrong in ["", "28708", "2870821", "28708x", "２８７０８２"] {
            assert_eq!(step(wrong, 59), None, "{wrong}");
        }
        let url = address(&secret, &user).unwrap();
        assert!(
            url.starts_with("otpauth://totp/Sluicegate:u-1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
            "{url}"
        );
    }

    #[test]
    fn backup_codes_are_found_however_they_are_written() {
        let (user, codes) = (UserId::from("u"), backup_codes().unwrap());
        assert_eq!(codes.len(), BACKUP_CODES);
        let code = codes[0].expose();
        assert_eq!(code.len(), 19);
        let hash = backup_hash(&user, code).unwrap();
        assert_eq!(backup_hash(&user, &code.replace('-', " ").to_uppercase()), Some(hash));
        assert_ne!(backup_hash(&UserId::from("v"), code), Some(hash));
        assert_eq!(backup_hash(&user, &code[1..]), None);
    }
}
