//! Passwords: which will do, and how they are kept.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use sluicegate_core::{Error, ErrorKind, Result, Retry, Secret};
use tokio::sync::Semaphore;

use crate::credential::fill_random;
use crate::store::Hidden;

/// A password has at most so many bytes.
pub const PASSWORD_BYTES_MAX: usize = 512;
/// And takes so many guesses at least, as a power of ten, by estimate.
const GUESSES_LOG10_MIN: f64 = 10.0;

/// Passwords that are hashed at the same time: each takes 19 MiB and a core.
// BOUND: memory and cores that sign-ins take from calls.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// So many wait for that; whoever comes then is told to come back.
// BOUND: sign-ins that wait.
static WAITING: Semaphore = Semaphore::const_new(64);

/// Refuses a password of fewer characters than `shortest`, or one that is too easy to guess for somebody who knows these words about its owner.
///
/// # Errors
/// `InvalidRequest` saying what is wrong with it.
pub(super) fn check(password: &Secret, shortest: u32, about: &[&str]) -> Result<()> {
    let text = password.expose();
    let refuse = |why: String| Err(Error::new(ErrorKind::InvalidRequest, why).with("param", "password"));
    let shortest = usize::try_from(shortest).unwrap_or(usize::MAX);
    if text.chars().count() < shortest || text.len() > PASSWORD_BYTES_MAX {
        return refuse(format!(
            "the password must have at least {shortest} characters and at most {PASSWORD_BYTES_MAX} bytes"
        ));
    }
    let estimate = zxcvbn::zxcvbn(text, about);
    if estimate.guesses_log10() < GUESSES_LOG10_MIN {
        return refuse("the password is too easy to guess; take several words that have nothing to do with each other, or have one made".to_owned());
    }
    Ok(())
}

/// Hashes a password with argon2id.
///
/// # Errors
/// `RateLimited` when too many wait for theirs, `Internal` when the operating system gives no randomness.
pub(super) async fn hash(password: &Secret) -> Result<Hidden> {
    let mut salt = [0u8; 16];
    fill_random(&mut salt)?;
    let password = password.clone();
    let failed = |why: argon2::password_hash::Error| {
        Error::new(ErrorKind::Internal, format!("a password can't be hashed: {why}"))
    };
    apart(move || {
        let hash = Argon2::default().hash_password_with_salt(password.expose().as_bytes(), &salt);
        hash.map(|hash: PasswordHash| Hidden(hash.to_string())).map_err(failed)
    })
    .await?
}

/// Whether it is the password that was hashed. Without a hash it takes as long, and is none.
///
/// # Errors
/// `RateLimited` when too many wait for theirs.
pub(super) async fn is_right(password: &Secret, hash: Option<&Hidden>) -> Result<bool> {
    // Of no password; the cost is what counts.
    const NOBODYS: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c2x1aWNlZ2F0ZS1zYWx0IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let (password, known) = (password.clone(), hash.is_some());
    let hash = hash.map_or_else(|| NOBODYS.to_owned(), |hash| hash.0.clone());
    apart(move || {
        // Longer ones are nobody's, and hashing them is work.
        let text = password.expose();
        let short = text.len() <= PASSWORD_BYTES_MAX;
        let text = if short { text.as_bytes() } else { b"" };
        let right =
            PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(text, &hash).is_ok());
        right && known && short
    })
    .await
}

/// Does what takes a core, beside the threads that serve.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let busy = || {
        let message = "many are signing in at the moment; try again in a second";
        Error::new(ErrorKind::RateLimited, message).with_retry(Retry::AfterMs(1_000))
    };
    let gone = |_| Error::new(ErrorKind::Internal, "nothing is hashed any more");
    let place = WAITING.try_acquire().map_err(|_| busy())?;
    let turn = AT_ONCE.acquire().await.map_err(gone)?;
    drop(place);
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|why| Error::new(ErrorKind::Internal, "hashing was cut off").with_source(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_easy_passwords_are_refused() {
        for (password, good) in [
            ("correct-horse-battery", true),
            ("tr0mbone purple exit", true),
            ("9f2kQ!x7pLmZ", true),
            ("", false),
            ("kX9$mQ2p", false),
            ("passwordpassword", false),
            ("123456789012", false),
            ("aaaaaaaaaaaaaaaaaaaa", false),
            ("qwertyuiop[]", false),
            ("sluicegate-ada", false),
        ] {
            let checked = check(&Secret::new(password), 12, &["ada@sluicegate.example", "sluicegate", "ada"]);
            assert_eq!(checked.is_ok(), good, "{password}: {checked:?}");
        }
        assert!(check(&Secret::new("kX9$mQ2pLw"), 10, &[]).is_ok());
        assert!(check(&Secret::new("correct-horse-battery"), 30, &[]).is_err());
        assert!(check(&Secret::new("xK7-".repeat(200)), 12, &[]).is_err());
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let password = Secret::new("correct-horse-battery");
        let kept = hash(&password).await.unwrap();
        assert!(kept.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", kept.0);
        assert_ne!(kept, hash(&password).await.unwrap(), "each has a salt of its own");
        assert!(is_right(&password, Some(&kept)).await.unwrap());
        assert!(!is_right(&Secret::new("correct-horse-batterY"), Some(&kept)).await.unwrap());
        assert!(!is_right(&password, None).await.unwrap());
        assert!(!is_right(&password, Some(&Hidden("nonsense".to_owned()))).await.unwrap());
        let long = Secret::new("x".repeat(PASSWORD_BYTES_MAX + 1));
        assert!(!is_right(&long, Some(&kept)).await.unwrap());
        assert!(!is_right(&Secret::new(""), None).await.unwrap());
    }
}
