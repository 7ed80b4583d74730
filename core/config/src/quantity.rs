//! Amounts as people write them: `2M` tokens, `100 USD`, `30d`.

use sluicegate_core::limit::Window;
use sluicegate_core::money::{NanoUsd, parse_decimal};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// Parses a count: `1000`, `1_000`, `500K`, `2M`, `1.5M`, `1e6`, `1G`. The suffixes are decimal.
///
/// # Errors
/// What is wrong, for people: anything that isn't a whole number from 0 to 2⁶³ − 1.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        format!("`{shown}` is no whole number, 0 or more, such as 1000, 500K or 2M")
    };
    let plain: String = text.trim().chars().filter(|c| *c != '_').collect();
    let (number, exponent) = match plain.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (plain.get(..at), 3),
        Some((at, 'm' | 'M')) => (plain.get(..at), 6),
        Some((at, 'g' | 'G' | 'b' | 'B')) => (plain.get(..at), 9),
        Some((at, 't' | 'T')) => (plain.get(..at), 12),
        _ => (Some(plain.as_str()), 0),
    };
    let number = number.ok_or_else(wrong)?.trim_end();
    let value = parse_decimal(number, exponent).ok_or_else(wrong)?;
    // Decimals round up: what isn't whole differs when it is scaled on.
    if parse_decimal(number, exponent + 3) != value.checked_mul(1000) && value < i64::MAX / 1000 {
        return Err(wrong());
    }
    u64::try_from(value).map_err(|_| wrong())
}

/// Parses a number of bytes: a count, or with `KiB`, `MiB` or `GiB` behind it.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let plain = text.trim();
    let (number, unit) = [("KiB", 1024), ("MiB", 1024 * 1024), ("GiB", 1024 * 1024 * 1024)]
        .into_iter()
        .find_map(|(name, unit)| plain.strip_suffix(name).map(|number| (number.trim_end(), unit)))
        .unwrap_or((plain, 1));
    parse_count(number)?.checked_mul(unit).ok_or_else(|| "this is too large".to_owned())
}

/// Parses an amount of money in nano-USD: `100 USD`, `$100`, `0.5`, `2K USD`.
///
/// # Errors
/// What is wrong, for people: another currency, a negative or too large amount, or no number.
pub fn parse_usd(text: &str) -> Result<NanoUsd, String> {
    let shown: String = text.chars().take(40).collect();
    let plain = text.trim();
    let plain = plain.strip_prefix('$').unwrap_or(plain).trim_start();
    let upper = plain.to_ascii_uppercase();
    let number = match upper.find(|c: char| c.is_ascii_alphabetic() && c != 'E') {
        Some(_) if upper.ends_with("USD") => upper.get(..upper.len() - 3).unwrap_or_default().trim_end(),
        _ => upper.as_str(),
    };
    let (number, exponent) = match number.char_indices().next_back() {
        Some((at, 'K')) => (number.get(..at).unwrap_or_default().trim_end(), 3),
        Some((at, 'M')) => (number.get(..at).unwrap_or_default().trim_end(), 6),
        _ => (number, 0),
    };
    let number = number.replace('_', "");
    match parse_decimal(&number, 9 + exponent) {
        Some(nano) if nano >= 0 => Ok(nano),
        Some(_) => Err(format!("`{shown}` is negative")),
        None => Err(format!("`{shown}` is no amount of USD such as 100, 0.5 or 100 USD")),
    }
}

/// Parses a length of time in milliseconds: a number and one of `ms`, `s`, `m`, `h`, `d`, `w`, `mo` (30 days), or their
/// long forms; a bare number is seconds.
///
/// # Errors
/// What is wrong, for people.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let shown: String = text.chars().take(40).collect();
    let wrong = || format!("`{shown}` is no length of time such as 30s, 5m, 24h, 30d or 1mo");
    let (number, unit) = split_duration(text).ok_or_else(wrong)?;
    let unit_ms = match unit {
        Unit::Millisecond => 1,
        Unit::Second => 1_000,
        Unit::Minute => 60_000,
        Unit::Hour => 3_600_000,
        Unit::Day => DAY_MS,
        Unit::Week => 7 * DAY_MS,
        Unit::Month => 30 * DAY_MS,
    };
    // Thousandths of the unit, so that 1.5h is exact.
    let thousandths = parse_decimal(&number, 3).and_then(|n| u64::try_from(n).ok()).ok_or_else(wrong)?;
    let ms = u128::from(thousandths) * u128::from(unit_ms) / 1_000;
    u64::try_from(ms).ok().filter(|ms| i64::try_from(*ms).is_ok()).ok_or_else(wrong)
}

/// The window that a LiteLLM `budget_duration` means. Its resets are aligned to the calendar: `1d` and `24h` are the
/// calendar day, `7d` and `1w` the week from Monday, `30d` and `1mo` the calendar month. Any other length is a rolling
/// window.
///
/// # Errors
/// What is wrong, for people.
pub fn parse_budget_window(text: &str) -> Result<Window, String> {
    if let Some((number, Unit::Month)) = split_duration(text)
        && number == "1"
    {
        return Ok(Window::Month);
    }
    match parse_duration_ms(text)? {
        60_000 => Ok(Window::Minute),
        3_600_000 => Ok(Window::Hour),
        DAY_MS => Ok(Window::Day),
        ms if ms == 7 * DAY_MS => Ok(Window::Week),
        ms if ms == 30 * DAY_MS => Ok(Window::Month),
        ms if ms >= 60 => Ok(Window::RollingMs(ms)),
        _ => Err("a budget can't last less than 60 ms".to_owned()),
    }
}

/// Parses a window of our own configuration: `minute`, `hour`, `day`, `week`, `month`, `lifetime`, or a length of time for a
/// rolling window, such as `5h`.
///
/// # Errors
/// What is wrong, for people.
pub fn parse_window(text: &str) -> Result<Window, String> {
    Ok(match text.trim() {
        "minute" => Window::Minute,
        "hour" => Window::Hour,
        "day" => Window::Day,
        "week" => Window::Week,
        "month" => Window::Month,
        "lifetime" => Window::Lifetime,
        other => {
            let length =
                other.strip_prefix("rolling").map_or(other, |rest| rest.trim_start_matches([':', ' ']));
            match parse_duration_ms(length) {
                Ok(ms) if ms >= 60 => Window::RollingMs(ms),
                _ => {
                    let shown: String = other.chars().take(40).collect();
                    return Err(format!(
                        "`{shown}` is no window: minute, hour, day, week, month, lifetime, or a length such as 5h for a \
                         rolling one"
                    ));
                }
            }
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

fn split_duration(text: &str) -> Option<(String, Unit)> {
    let text = text.trim().to_ascii_lowercase();
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    let unit = match unit.trim() {
        "ms" | "millisecond" | "milliseconds" => Unit::Millisecond,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "wk" | "week" | "weeks" => Unit::Week,
        "mo" | "month" | "months" => Unit::Month,
        _ => return None,
    };
    let number = number.trim();
    (!number.is_empty()).then(|| (number.to_owned(), unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_and_exact() {
        for (text, want) in [
            ("1000", Some(1000)),
            ("1_000", Some(1000)),
            ("2M", Some(2_000_000)),
            ("1.5M", Some(1_500_000)),
            ("40 M", Some(40_000_000)),
            ("500k", Some(500_000)),
            ("1G", Some(1_000_000_000)),
            ("1e6", Some(1_000_000)),
            ("0", Some(0)),
            ("5000000.0", Some(5_000_000)),
            ("1.5", None),
            ("0.0000001", None),
            ("-1", None),
            ("", None),
            ("M", None),
            ("ten", None),
            ("1e30", None),
            ("9223372036854775807", Some(9_223_372_036_854_775_807)),
        ] {
            assert_eq!(parse_count(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn money_is_exact() {
        for (text, want) in [
            ("100 USD", Some(100_000_000_000)),
            ("$100", Some(100_000_000_000)),
            ("100", Some(100_000_000_000)),
            ("0.000000001", Some(1)),
            ("2K USD", Some(2_000_000_000_000)),
            ("1e-3 usd", Some(1_000_000)),
            ("-1", None),
            ("100 CNY", None),
            ("100 EUR", None),
            ("", None),
        ] {
            assert_eq!(parse_usd(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn durations_and_windows() {
        for (text, ms) in [
            ("30s", Some(30_000)),
            ("30m", Some(1_800_000)),
            ("24h", Some(DAY_MS)),
            ("30d", Some(30 * DAY_MS)),
            ("1mo", Some(30 * DAY_MS)),
            ("1.5h", Some(5_400_000)),
            ("250ms", Some(250)),
            ("60", Some(60_000)),
            ("1hr", Some(3_600_000)),
            ("", None),
            ("d", None),
            ("1y", None),
            ("-1d", None),
            ("99999999999999d", None),
        ] {
            assert_eq!(parse_duration_ms(text).ok(), ms, "{text}");
        }
        for (text, want) in [
            ("1d", Window::Day),
            ("24h", Window::Day),
            ("7d", Window::Week),
            ("1w", Window::Week),
            ("30d", Window::Month),
            ("1mo", Window::Month),
            ("60s", Window::Minute),
            ("1h", Window::Hour),
            ("5h", Window::RollingMs(18_000_000)),
        ] {
            assert_eq!(parse_budget_window(text), Ok(want), "{text}");
        }
        assert_eq!(parse_window("month"), Ok(Window::Month));
        assert_eq!(parse_window("rolling 5h"), Ok(Window::RollingMs(18_000_000)));
        assert!(parse_window("fortnight").is_err());
    }
}
