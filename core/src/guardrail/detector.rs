//! Personal data and secrets: a pattern that finds candidates, and a check that tells which of them are what they look
//! like.

use serde::{Deserialize, Serialize};

/// Something that has a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Detector {
    /// E-mail addresses.
    Email,
    /// Telephone numbers: international ones with `+`, Chinese mobile numbers, North American ones with separators.
    Phone,
    /// Chinese resident identity numbers, whose check digit is right.
    ChineseId,
    /// Credit card numbers, whose check digit (Luhn) is right.
    CreditCard,
    /// International bank account numbers, whose check digits are right.
    Iban,
    /// IPv4 addresses.
    Ipv4,
    /// Credentials by their usual forms: `sk-…`, `ghp_…`, `AKIA…`, JSON web tokens and their like.
    Secret,
}

impl Detector {
    /// Every detector, by the name that configurations use.
    pub const ALL: [(&'static str, Detector); 7] = [
        ("email", Detector::Email),
        ("phone", Detector::Phone),
        ("chinese_id", Detector::ChineseId),
        ("credit_card", Detector::CreditCard),
        ("iban", Detector::Iban),
        ("ipv4", Detector::Ipv4),
        ("secret", Detector::Secret),
    ];

    /// What stands for it when it is masked.
    pub const fn label(self) -> &'static str {
        match self {
            Detector::Email => "[EMAIL]",
            Detector::Phone => "[PHONE]",
            Detector::ChineseId => "[CHINESE_ID]",
            Detector::CreditCard => "[CREDIT_CARD]",
            Detector::Iban => "[IBAN]",
            Detector::Ipv4 => "[IPV4]",
            Detector::Secret => "[SECRET]",
        }
    }

    /// What finds candidates. Each takes as much as could belong to one; the check cuts it.
    pub(super) const fn pattern(self) -> &'static str {
        match self {
            Detector::Email => r"[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.){1,4}[A-Za-z]{2,24}",
            Detector::Phone => {
                r"\+[0-9]{1,3}(?:[ .\-]?\(?[0-9]{1,5}\)?){2,6}|(?:86[ \-]?)?1[3-9][0-9][ \-]?[0-9]{4}[ \-]?[0-9]{4}|\(?[2-9][0-9]{2}\)?[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}"
            }
            Detector::ChineseId => r"[1-9][0-9]{16}[0-9Xx]",
            Detector::CreditCard => r"[0-9](?:[ \-]?[0-9]){12,36}",
            Detector::Iban => r"[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}",
            Detector::Ipv4 => r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}",
            Detector::Secret => {
                r"(?:sk|pk|rk)[\-_][A-Za-z0-9_\-]{16,200}|gh[pousr]_[A-Za-z0-9]{30,200}|github_pat_[A-Za-z0-9_]{20,200}|glpat-[A-Za-z0-9_\-]{16,200}|xox[abprs]-[A-Za-z0-9\-]{10,200}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_\-]{30,60}|hf_[A-Za-z0-9]{20,100}|eyJ[A-Za-z0-9_\-]{8,100}\.eyJ[A-Za-z0-9_\-]{8,600}(?:\.[A-Za-z0-9_\-]{1,200})?"
            }
        }
    }

    /// No match is longer, in bytes.
    pub(super) const fn reach(self) -> usize {
        match self {
            Detector::Email => super::REACH_MAX,
            Detector::Secret => 1_024,
            Detector::Phone => 48,
            Detector::ChineseId => 18,
            Detector::CreditCard => 74,
            Detector::Iban => 68,
            Detector::Ipv4 => 15,
        }
    }

    /// Whether a match may hold this character. Where a stream has one that none may hold, nothing before it is waited for.
    pub(super) const fn may_hold(self, c: char) -> bool {
        match self {
            Detector::Email => c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '@'),
            Detector::Phone => c.is_ascii_digit() || matches!(c, ' ' | '.' | '-' | '(' | ')' | '+'),
            Detector::ChineseId => c.is_ascii_digit() || matches!(c, 'X' | 'x'),
            Detector::CreditCard => c.is_ascii_digit() || matches!(c, ' ' | '-'),
            Detector::Iban => c.is_ascii_alphanumeric() || c == ' ',
            Detector::Ipv4 => c.is_ascii_digit() || c == '.',
            Detector::Secret => c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'),
        }
    }

    /// How much of a candidate is one, in bytes; `None` if it only looks like one. `before` and `after` stand around it.
    pub(super) fn check(self, found: &str, before: Option<char>, after: Option<char>) -> Option<usize> {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        match self {
            // The local part is taken whole: what stands before it belongs to no address.
            Detector::Email => (!word(after)).then_some(found.len()),
            Detector::Phone if word(before) || before == Some('+') => None,
            Detector::Phone => phone(found, after),
            Detector::ChineseId => {
                (!word(before) && !word(after) && is_chinese_id(found)).then_some(found.len())
            }
            Detector::CreditCard if digit(before) => None,
            Detector::CreditCard => card(found, after),
            Detector::Iban if word(before) => None,
            Detector::Iban => iban(found, after),
            Detector::Ipv4 => {
                let part = |part: &str| part.parse::<u16>().is_ok_and(|n| n < 256);
                let alone = !digit(before) && before != Some('.') && !digit(after);
                (alone && found.split('.').all(part)).then_some(found.len())
            }
            Detector::Secret => (!before.is_some_and(|c| c.is_ascii_alphanumeric())).then_some(found.len()),
        }
    }
}

/// The longest beginning of groups of digits that can be a number.
fn phone(found: &str, after: Option<char>) -> Option<usize> {
    let mut end = found.len();
    let mut follows = after;
    // BOUND: each turn cuts a group off.
    loop {
        let part = found.get(..end)?;
        let digits = part.bytes().filter(u8::is_ascii_digit).count();
        if !follows.is_some_and(|c| c.is_ascii_digit()) && (8..=15).contains(&digits) {
            return Some(end);
        }
        end = part.rfind([' ', '-', '.'])?;
        follows = Some(' ');
    }
}

/// The longest beginning of a run of digits and separators that is a card's number: what follows after a separator may be
/// something else.
fn card(found: &str, after: Option<char>) -> Option<usize> {
    let mut end = found.len();
    let mut follows = after;
    // BOUND: each turn cuts a group off.
    loop {
        let part = found.get(..end)?;
        if !follows.is_some_and(|c| c.is_ascii_digit()) && is_card(part) {
            return Some(end);
        }
        end = part.rfind([' ', '-'])?;
        follows = found.get(end..).and_then(|rest| rest.chars().next());
    }
}

fn is_card(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit);
    let count = digits.clone().count();
    let mut sum = 0;
    for (at, byte) in digits.rev().enumerate() {
        let digit = u32::from(byte - b'0');
        let doubled = if at % 2 == 1 { digit * 2 } else { digit };
        sum += if doubled > 9 { doubled - 9 } else { doubled };
    }
    // Nothing but zeros passes the check and is no card.
    (13..=19).contains(&count) && sum > 0 && sum % 10 == 0
}

fn is_chinese_id(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: &[u8; 11] = b"10X98765432";
    let bytes = text.as_bytes();
    let number = |range| text.get(range).and_then(|part: &str| part.parse::<u32>().ok());
    let born = (1800..=2199).contains(&number(6..10).unwrap_or(0))
        && (1..=12).contains(&number(10..12).unwrap_or(0))
        && (1..=31).contains(&number(12..14).unwrap_or(0));
    let sum: u32 =
        bytes.iter().zip(WEIGHTS).map(|(byte, weight)| u32::from(byte.wrapping_sub(b'0')) * weight).sum();
    let check = CHECKS.get(sum as usize % 11);
    born && bytes.len() == 18 && bytes.last().map(u8::to_ascii_uppercase).as_ref() == check
}

/// Like [`card`]: words that follow after a space are none of it.
fn iban(found: &str, after: Option<char>) -> Option<usize> {
    let mut end = found.len();
    let mut follows = after;
    // BOUND: each turn cuts a group off.
    loop {
        let part = found.get(..end)?;
        if !follows.is_some_and(|c| c.is_ascii_alphanumeric()) && is_iban(part) {
            return Some(end);
        }
        end = part.rfind(' ')?;
        follows = Some(' ');
    }
}

fn is_iban(text: &str) -> bool {
    let chars = || text.bytes().filter(|byte| *byte != b' ').map(|byte| byte.to_ascii_uppercase());
    if !(15..=34).contains(&chars().count()) {
        return false;
    }
    let moved = chars().skip(4).chain(chars().take(4));
    let rest = moved.fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97,
    });
    rest == 1
}
