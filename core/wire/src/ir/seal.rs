//! Seals: what a provider signs or encrypts, to be sent back as it is.

use std::borrow::Cow;

/// Who can read a seal. Everybody else refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Anthropic,
    Openai,
    Gemini,
}

impl Maker {
    const ALL: [Maker; 3] = [Maker::Anthropic, Maker::Openai, Maker::Gemini];

    const fn as_str(self) -> &'static str {
        match self {
            Maker::Anthropic => "anthropic",
            Maker::Openai => "openai",
            Maker::Gemini => "gemini",
        }
    }
}

/// Something opaque that its maker wants back unchanged: the signature of a thought, or a thought that is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) maker: Maker,
    pub(crate) data: String,
}

/// What stands before a seal that travels through a client of another format than its maker's.
pub(crate) const FOREIGN: &str = "sluicegate-seal:";
/// How the same begins where a format's seals are bytes in base64, in either alphabet.
pub(crate) const FOREIGN_BYTES: &str = "c2x1aWNlZ2F0ZS1zZWFs";

impl Seal {
    pub(crate) fn new(maker: Maker, data: impl Into<String>) -> Self {
        Self { maker, data: data.into() }
    }

    /// Reads a seal as it stands in a format of `native`'s.
    pub(crate) fn read(native: Maker, text: &str) -> Self {
        let foreign = text.strip_prefix(FOREIGN).and_then(|rest| rest.split_once(':'));
        let found = foreign.and_then(|(maker, data)| {
            let maker = Maker::ALL.into_iter().find(|known| known.as_str() == maker)?;
            Some(Self::new(maker, data))
        });
        found.unwrap_or_else(|| Self::new(native, text))
    }

    /// The seal as a client of `native`'s format carries it. One of another maker says whose it is, so that it is known again.
    pub(crate) fn shown(&self, native: Maker) -> Cow<'_, str> {
        if self.maker == native {
            Cow::Borrowed(&self.data)
        } else {
            Cow::Owned(format!("{FOREIGN}{}:{}", self.maker.as_str(), self.data))
        }
    }

    /// The seal for an upstream of this maker; `None` for anybody else's.
    pub(crate) fn of(&self, maker: Maker) -> Option<&str> {
        (self.maker == maker).then_some(self.data.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_comes_back_as_it_went() {
        for maker in Maker::ALL {
            for native in Maker::ALL {
                let seal = Seal::new(maker, "a:b==");
                assert_eq!(Seal::read(native, &seal.shown(native)), seal);
                assert_eq!(seal.shown(native).starts_with(FOREIGN), maker != native);
            }
        }
        let odd = "sluicegate-seal:nobody:x";
        assert_eq!(Seal::read(Maker::Openai, odd), Seal::new(Maker::Openai, odd));
    }
}
