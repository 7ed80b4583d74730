//! `candidates`: where the call may go, in ranked order.

use rhai::{Dynamic, Engine, EvalAltResult, INT, ImmutableString, Position};

use super::call::texts;
use super::{int, optional, parse_target, text};
use crate::facts::CandidateFacts;
use crate::run::{Outcome, charge, with};

/// The candidates. A handle: the facts belong to the run.
#[derive(Clone, Copy)]
pub(crate) struct Candidates;

/// One candidate, by its place.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Candidate(usize);

impl Candidate {
    /// The id of its channel.
    pub(super) fn channel(self) -> Outcome<String> {
        self.read(|facts| facts.id.as_str().to_owned())
    }

    fn read<T>(self, read: impl FnOnce(&CandidateFacts) -> T) -> Outcome<T> {
        with(|run| {
            let count = run.candidates.len();
            run.candidates.get(self.0).map(read).ok_or_else(|| out_of_bounds(count, int(self.0)))
        })
    }

    fn read_optional<T: Into<Dynamic>>(
        self,
        read: impl FnOnce(&CandidateFacts) -> Option<T>,
    ) -> Outcome<Dynamic> {
        optional(self.read(read)?)
    }
}

fn out_of_bounds(count: usize, index: INT) -> Box<EvalAltResult> {
    EvalAltResult::ErrorArrayBounds(count, index, Position::NONE).into()
}

pub(super) fn register(engine: &mut Engine) {
    list(engine);
    engine.register_type_with_name::<Candidate>("Candidate");
    facts(engine);
    figures(engine);
}

fn list(engine: &mut Engine) {
    engine.register_type_with_name::<Candidates>("Candidates");
    engine.register_iterator::<Candidates>();
    engine.register_get("len", |_: &mut Candidates| count());
    engine.register_fn("len", |_: &mut Candidates| count());
    engine.register_get("is_empty", |_: &mut Candidates| Ok::<_, Box<EvalAltResult>>(count()? == 0));
    engine.register_fn("is_empty", |_: &mut Candidates| Ok::<_, Box<EvalAltResult>>(count()? == 0));
    engine.register_indexer_get(|_: &mut Candidates, index: INT| {
        let count = count()?;
        let at = if index < 0 { index + count } else { index };
        match usize::try_from(at) {
            Ok(at) if int(at) < count => Ok(Candidate(at)),
            _ => Err(out_of_bounds(usize::try_from(count).unwrap_or(0), index)),
        }
    });
    engine.register_fn("contains", |_: &mut Candidates, what: ImmutableString| {
        let target = parse_target(&what)?;
        with(|run| {
            charge(run.candidates.len() * 32)?;
            Ok(run.candidates.iter().any(|candidate| candidate.is(&target)))
        })
    });
    // Least first. The first of equals wins: they are in ranked order. What isn't known is never least.
    engine.register_fn("cheapest", |_: &mut Candidates| {
        least(|facts| Some(u128::from(facts.input_price?) + u128::from(facts.output_price?)))
    });
    engine.register_fn("fastest", |_: &mut Candidates| {
        least(|facts| (facts.latency_us > 0).then_some(u128::from(facts.latency_us)))
    });
}

fn facts(engine: &mut Engine) {
    engine.register_get("id", |c: &mut Candidate| c.read(|facts| text(facts.id.as_str())));
    engine.register_get("name", |c: &mut Candidate| c.read(|facts| text(&facts.name)));
    engine.register_get("provider", |c: &mut Candidate| c.read(|facts| text(facts.provider.as_str())));
    engine.register_get("upstream_model", |c: &mut Candidate| {
        c.read(|facts| text(facts.upstream_model.as_str()))
    });
    engine.register_get("tags", |c: &mut Candidate| c.read(|facts| texts(&facts.tags)));
    engine.register_fn("has_tag", |c: &mut Candidate, tag: ImmutableString| {
        c.read(|facts| facts.tags.iter().any(|own| *own == *tag))
    });
    engine.register_fn("matches", |c: &mut Candidate, what: ImmutableString| {
        let target = parse_target(&what)?;
        c.read(|facts| facts.is(&target))
    });
    engine.register_fn("to_string", |c: &mut Candidate| c.read(|facts| text(facts.id.as_str())));
}

fn figures(engine: &mut Engine) {
    engine.register_get("priority", |c: &mut Candidate| c.read(|facts| INT::from(facts.priority)));
    engine.register_get("weight", |c: &mut Candidate| c.read(|facts| INT::from(facts.weight)));
    engine
        .register_get("input_price", |c: &mut Candidate| c.read_optional(|facts| facts.input_price.map(usd)));
    engine.register_get("output_price", |c: &mut Candidate| {
        c.read_optional(|facts| facts.output_price.map(usd))
    });
    engine.register_get("context_window", |c: &mut Candidate| {
        c.read_optional(|facts| facts.context_window.map(int))
    });
    engine.register_get("latency_ms", |c: &mut Candidate| {
        c.read_optional(|facts| (facts.latency_us > 0).then_some(facts.latency_us as f64 / 1_000.0))
    });
    engine.register_get("in_flight", |c: &mut Candidate| c.read(|facts| INT::from(facts.in_flight)));
    engine.register_get("limit_used", |c: &mut Candidate| {
        c.read_optional(|facts| facts.limit_used_ppm.map(|ppm| ppm as f64 / 1e6))
    });
    engine.register_get("failures", |c: &mut Candidate| c.read(|facts| INT::from(facts.failures)));
}

fn count() -> Outcome<INT> {
    with(|run| Ok(int(run.candidates.len())))
}

fn least(score: impl Fn(&CandidateFacts) -> Option<u128>) -> Outcome<Dynamic> {
    with(|run| {
        charge(run.candidates.len() * 16)?;
        let known = run.candidates.iter().enumerate().filter_map(|(at, facts)| Some((score(facts)?, at)));
        Ok(known.min().map_or(Dynamic::UNIT, |(_, at)| Dynamic::from(Candidate(at))))
    })
}

/// Pico-USD for a token as USD for a million tokens, as price lists have it.
fn usd(pico_per_token: u64) -> f64 {
    pico_per_token as f64 / 1e6
}

impl IntoIterator for Candidates {
    type Item = Candidate;
    type IntoIter = std::iter::Map<std::ops::Range<usize>, fn(usize) -> Candidate>;

    fn into_iter(self) -> Self::IntoIter {
        let count = count().ok().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        (0..count).map(Candidate as fn(usize) -> Candidate)
    }
}
