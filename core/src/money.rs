//! Money in integers: prices in pico-USD per token, amounts in nano-USD.
//!
//! 1 USD = 10⁹ nano-USD = 10¹² pico-USD, so 1 USD per million tokens is 1,000,000 pico-USD per token. An amount is
//! rounded once: up when it is reserved, half to even when it is settled.

use serde::{Deserialize, Serialize};

/// Nano-USD in one USD.
pub const NANO_PER_USD: i64 = 1_000_000_000;

/// An amount in nano-USD: up to ±9.2 billion USD.
pub type NanoUsd = i64;

/// A price in pico-USD per token (or per other unit).
pub type PicoUsd = u64;

/// How a sum of pico-USD becomes nano-USD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Away from zero: for what is reserved.
    Up,
    /// To nearest, ties to even: for what is settled.
    HalfEven,
}

/// Rounds pico-USD to nano-USD, saturating at the range of [`NanoUsd`].
pub fn nano_from_pico(pico: i128, rounding: Rounding) -> NanoUsd {
    let (quotient, rest) = div_rem(pico, 1000);
    let up = match rounding {
        Rounding::Up => rest > 0,
        Rounding::HalfEven => rest > 500 || (rest == 500 && quotient % 2 != 0),
    };
    let nano = quotient + i128::from(up);
    NanoUsd::try_from(nano).unwrap_or(if nano < 0 { NanoUsd::MIN } else { NanoUsd::MAX })
}

/// Euclidean division. Nearly every amount fits 64 bits, which divide many times faster than 128.
pub(crate) fn div_rem(n: i128, by: u64) -> (i128, i128) {
    match u64::try_from(n) {
        Ok(n) => (i128::from(n / by), i128::from(n % by)),
        Err(_) => (n.div_euclid(i128::from(by)), n.rem_euclid(i128::from(by))),
    }
}

/// Parses a decimal amount of USD exactly, such as `12.5`, `1e-3` or `100`, into units of 10⁻`digits` USD.
///
/// `digits` is 9 for amounts and 12 for prices per token (6 for prices given per million tokens, which yields
/// pico-USD per token). What is finer than the unit is rounded up, so that a price is never understated.
/// Returns `None` for anything that isn't a plain decimal number or doesn't fit.
pub fn parse_decimal(text: &str, digits: u32) -> Option<i64> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for c in whole.chars().chain(fraction.chars()) {
        value = value.checked_mul(10)?.checked_add(i128::from(c.to_digit(10)?))?;
    }
    let shift = exponent
        .checked_sub(i32::try_from(fraction.len()).ok()?)?
        .checked_add(i32::try_from(digits).ok()?)?;
    if shift >= 0 {
        value = value.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)?;
    } else if let Some(divisor) = 10i128.checked_pow(shift.unsigned_abs()) {
        value = value.div_euclid(divisor) + i128::from(value.rem_euclid(divisor) > 0);
    } else {
        value = i128::from(value > 0);
    }
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Nano-USD as decimal USD without trailing zeros, such as `0.0125`.
pub fn format_usd(nano: NanoUsd) -> String {
    // Written from its end, as it is in each answer's headers. An amount has at most 19 digits, a sign and a point.
    let mut text = [0; 24];
    let mut at = text.len();
    let mut put = |byte: u8| {
        at -= 1;
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
    };
    let (mut left, mut digits, mut shown) = (nano.unsigned_abs(), 0, false);
    while left > 0 || digits <= 9 {
        // INVARIANT: one digit.
        let digit = (left % 10) as u8;
        if digits == 9 {
            if shown {
                put(b'.');
            }
            shown = true;
        }
        shown |= digit > 0;
        if shown {
            put(b'0' + digit);
        }
        left /= 10;
        digits += 1;
    }
    if nano < 0 {
        put(b'-');
    }
    String::from_utf8_lossy(text.get(at..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_never_understated() {
        for (text, digits, want) in [
            ("100", 9, Some(100_000_000_000)),
            ("0.27", 6, Some(270_000)),
            ("1e-3", 9, Some(1_000_000)),
            ("2.5E-7", 12, Some(250_000)),
            ("0.0000000000001", 12, Some(1)),
            ("-1.5", 9, Some(-1_500_000_000)),
            ("1e30", 9, None),
            ("1e-60", 9, Some(1)),
            ("", 9, None),
            (".", 9, None),
            ("1,5", 9, None),
            ("nan", 9, None),
        ] {
            assert_eq!(parse_decimal(text, digits), want, "{text}");
        }
    }

    #[test]
    fn amounts_are_written_without_idle_zeros() {
        for (nano, want) in [
            (0, "0"),
            (1, "0.000000001"),
            (12_500_000, "0.0125"),
            (999_999_999, "0.999999999"),
            (1_000_000_000, "1"),
            (100_000_000_010, "100.00000001"),
            (-1_500_000_000, "-1.5"),
            (i64::MAX, "9223372036.854775807"),
            (i64::MIN, "-9223372036.854775808"),
        ] {
            assert_eq!(format_usd(nano), want);
        }
    }

    #[test]
    fn rounding_is_up_or_half_even() {
        for (pico, up, even) in
            [(0, 0, 0), (1, 1, 0), (500, 1, 0), (501, 1, 1), (1500, 2, 2), (2500, 3, 2), (3000, 3, 3)]
        {
            assert_eq!(nano_from_pico(pico, Rounding::Up), up, "{pico}");
            assert_eq!(nano_from_pico(pico, Rounding::HalfEven), even, "{pico}");
        }
        assert_eq!(nano_from_pico(i128::MAX, Rounding::Up), i64::MAX);
        assert_eq!(nano_from_pico(i128::MIN, Rounding::Up), i64::MIN);
        // Around the border of the fast way, and below zero.
        for n in [-1001, -1, 0, 999, i128::from(u64::MAX) - 1, i128::from(u64::MAX), i128::from(u64::MAX) + 1]
        {
            assert_eq!(div_rem(n, 1000), (n.div_euclid(1000), n.rem_euclid(1000)), "{n}");
        }
    }

    #[test]
    fn usd_is_written_without_trailing_zeros() {
        for (nano, text) in [(0, "0"), (12_500_000, "0.0125"), (-1, "-0.000000001"), (30_000_000_000, "30")] {
            assert_eq!(format_usd(nano), text);
        }
    }
}
