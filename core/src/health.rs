//! How channels are doing: failures, cooldown, latency, calls under way.

mod key;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::by_class::ByClass;
use crate::check::Checked;
use crate::decision::{Exclusion, OutcomeClass};
use crate::time::Timestamp;
pub use key::KeyUse;
use key::Keys;

/// Failures are counted over this long, in milliseconds.
const FAILURE_WINDOW_MS: i64 = 60_000;
/// A probe that takes longer than this, in milliseconds, no longer keeps others waiting.
const PROBE_MS: i64 = 60_000;
/// A channel that failed permanently is asked again once in this long: credentials get mended without telling us.
const BROKEN_RECHECK_MS: i64 = 600_000;
/// Each bench in a row is twice as long as the one before, up to 2⁵ times.
const MAX_BENCH_DOUBLINGS: u32 = 5;
/// After so long, in milliseconds, a latency counts half. Linkerd's default is about 7 s for calls that take milliseconds;
/// answers of models take seconds.
const LATENCY_HALF_MS: u64 = 30_000;

/// One channel's health. Survives configuration reloads.
#[derive(Debug, Default)]
pub struct ChannelHealth {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    window_start: Timestamp,
    failures: u32,
    /// Those of classes that are tolerated by a count of their own.
    failures_by: ByClass,
    share: Share,
    benched_until: Option<Timestamp>,
    broken: bool,
    /// Benches in a row without a success between them.
    benches: u32,
    /// A probe is under way after a bench: others wait for how it ends.
    probe_started: Option<Timestamp>,
    in_flight: u32,
    /// Of streams, until the first content.
    first_content: Latency,
    /// Of other calls, until the whole answer.
    whole: Latency,
    keys: Keys,
    /// The last failure that spoke against the channel or one of its keys: for people, not for decisions.
    last_failure: Option<(OutcomeClass, Timestamp)>,
}

/// How many attempts of a minute failed.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    start: Timestamp,
    calls: u32,
    failures: u32,
}

impl Share {
    fn count(&mut self, failed: bool, now: Timestamp) {
        if now.since_ms(self.start).saturating_abs() >= FAILURE_WINDOW_MS {
            *self = Share { start: now, ..Share::default() };
        }
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(failed));
    }

    fn is_more_than(&self, percent: u32) -> bool {
        u64::from(self.failures) * 100 > u64::from(self.calls) * u64::from(percent)
    }

    fn is_too_large(&self, tolerance: Tolerance) -> bool {
        let more_than = |percent| self.is_more_than(percent);
        self.calls >= tolerance.failure_min_calls && tolerance.failure_percent.is_some_and(more_than)
    }
}

/// A peak-sensitive moving average (peak-EWMA, as in Finagle and Linkerd): a higher latency counts at once and whole, a lower
/// one the more, the longer ago the last was; and what is long ago counts less, so that a channel that was slow once is
/// tried again. Integers only, so that a replay on any machine gives the same order.
#[derive(Clone, Copy, Debug, Default)]
struct Latency {
    /// 0 before the first answer.
    us: u64,
    at: Timestamp,
}

impl Latency {
    fn add(&mut self, us: u64, now: Timestamp) {
        // Two at the same time count like two in a row.
        let age_ms = self.age_ms(now).max(1);
        let mean = faded(self.us, age_ms).saturating_add(us - faded(us, age_ms));
        self.us = if self.us <= us { us } else { mean }.max(1);
        self.at = now;
    }

    fn read(&self, now: Timestamp) -> u64 {
        // Known stays known.
        faded(self.us, self.age_ms(now)).max(self.us.min(1))
    }

    /// As it was learnt: what people compare isn't to fall by itself.
    fn told(&self) -> Option<LearntLatency> {
        (self.us > 0).then_some(LearntLatency { us: self.us, at: self.at })
    }

    /// A clock that goes back ages nothing.
    fn age_ms(&self, now: Timestamp) -> u64 {
        u64::try_from(now.since_ms(self.at)).unwrap_or(0)
    }
}

/// What is left of `us` after so long: half after each [`LATENCY_HALF_MS`], and on a straight line in between.
fn faded(us: u64, age_ms: u64) -> u64 {
    let halved = us.checked_shr(u32::try_from(age_ms / LATENCY_HALF_MS).unwrap_or(u32::MAX)).unwrap_or(0);
    let part = u128::from(halved) * u128::from(age_ms % LATENCY_HALF_MS) / u128::from(2 * LATENCY_HALF_MS);
    // INVARIANT: at most half of it.
    halved - u64::try_from(part).unwrap_or(0)
}

/// How long a call took, for the average that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// A stream, in microseconds until its first content.
    FirstContent(u64),
    /// Another call, in microseconds until the whole answer.
    Whole(u64),
}

/// Whose fault an attempt's end was, of a channel with several keys.
enum OfKey {
    /// The key's alone.
    Alone(Verdict),
    /// The key's, and none is left until so many milliseconds have passed.
    Last { back_ms: u64 },
    /// The channel's.
    No,
}

impl State {
    /// Whether the failures counted are those of the last minute. Calls that end at once may tell slightly different
    /// times; a clock that was set back by more than the window begins a new one.
    fn is_recent(&self, now: Timestamp) -> bool {
        now.since_ms(self.window_start).saturating_abs() < FAILURE_WINDOW_MS
    }

    /// Counts a failure; whether those are more than are tolerated.
    fn count(&mut self, class: OutcomeClass, tolerance: &Tolerance, now: Timestamp) -> bool {
        if !self.is_recent(now) {
            (self.window_start, self.failures, self.failures_by) = (now, 0, ByClass::NONE);
        }
        self.failures = self.failures.saturating_add(1);
        let Some(allowed) = tolerance.allowed_fails_by.of(class) else {
            let counted_alone: u32 = self.failures_by.iter().map(|(_, failures)| failures).sum();
            return self.failures.saturating_sub(counted_alone) > tolerance.allowed_fails;
        };
        self.failures_by.add(class);
        self.failures_by.of(class) > Some(allowed)
    }

    /// Whether a permanent failure is borne for now; counts it if it may be.
    fn tolerates(&mut self, class: OutcomeClass, tolerance: &Tolerance, now: Timestamp) -> bool {
        let may_be =
            !self.broken && self.benched_until.is_none() && tolerance.allowed_fails_by.of(class).is_some();
        may_be && !self.count(class, tolerance, now)
    }

    fn learn(&mut self, took: Option<Took>, now: Timestamp) {
        match took {
            Some(Took::FirstContent(us)) => self.first_content.add(us, now),
            Some(Took::Whole(us)) => self.whole.add(us, now),
            None => {}
        }
    }

    /// What the end of an attempt, or of a check, means for the channel.
    fn judge(
        &mut self,
        class: OutcomeClass,
        retry_after_ms: Option<u64>,
        is_probe: bool,
        tolerance: &Tolerance,
        now: Timestamp,
    ) -> Verdict {
        if !class.is_channel_fault() {
            // Whatever else it answered, it answered: a refused request is no sign of ill health. A call that was begun
            // before the bench says nothing of the time since; nor does a caller who left, nor what was never sent.
            let answered = !matches!(
                class,
                OutcomeClass::ClientGone | OutcomeClass::Inexpressible | OutcomeClass::Denied
            );
            if answered && (is_probe || self.benched_until.is_none()) {
                self.recover();
                self.share.count(false, now);
            }
            return Verdict::Counted;
        }
        if class.is_permanent() && self.tolerates(class, tolerance, now) {
            return Verdict::Counted;
        }
        if class.is_permanent() {
            self.benched_until = Some(now.plus_ms(BROKEN_RECHECK_MS));
            return if std::mem::replace(&mut self.broken, true) {
                Verdict::Counted
            } else {
                Verdict::Broken
            };
        }
        let too_many = self.count(class, tolerance, now);
        if !is_probe && self.benched_until.is_some() {
            // It was sent before the bench: what it says is known already. The probe decides.
            return Verdict::Counted;
        }
        self.share.count(true, now);
        let by_number = tolerance.allowed_fails_by.of(class).is_some()
            || self.share.is_more_than(tolerance.failure_min_percent);
        let too_many = too_many && by_number || self.share.is_too_large(*tolerance);
        if !too_many && !is_probe && retry_after_ms.is_none() {
            return Verdict::Counted;
        }
        let doubled = tolerance.cooldown_ms.saturating_mul(1 << self.benches.min(MAX_BENCH_DOUBLINGS));
        // An upstream that names a time knows better than we do, but can't take a channel away for good.
        let named = retry_after_ms.map(|ms| ms.min(BROKEN_RECHECK_MS.unsigned_abs()));
        // A bench that an upstream named was no fault: its probe may fail like any other call.
        let crossed = too_many || is_probe && (self.benches > 0 || self.broken);
        let bench_ms = if crossed { named.unwrap_or(0).max(doubled) } else { named.unwrap_or(0) };
        if bench_ms == 0 || tolerance.cooldown_ms == 0 {
            // A cooldown of zero is none at all, whatever the upstream names.
            return Verdict::Counted;
        }
        let until = now.plus_ms(i64::try_from(bench_ms).unwrap_or(i64::MAX));
        if crossed {
            self.benches = self.benches.saturating_add(1);
        }
        self.benched_until = Some(until);
        Verdict::Benched(until)
    }

    /// It has answered: nothing counts any more that led to a bench.
    fn recover(&mut self) {
        if self.benched_until.is_some() {
            // Else one more failure within the minute would bench again what has just come back.
            (self.failures, self.failures_by, self.share) = (0, ByClass::NONE, Share::default());
        }
        (self.benched_until, self.broken, self.benches) = (None, false, 0);
    }

    /// What an attempt's end says of its key.
    fn end_key(
        &mut self,
        key: KeyUse,
        class: OutcomeClass,
        retry_after_ms: Option<u64>,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> OfKey {
        let until =
            |ms: u64| now.plus_ms(i64::try_from(ms.min(BROKEN_RECHECK_MS.unsigned_abs())).unwrap_or(0));
        let others_left = self.keys.has_other(key.digest, now);
        if class.is_permanent() {
            if !self.keys.knows(key.digest) {
                // It was replaced while the attempt was under way: that says nothing of those that are there now.
                return OfKey::Alone(Verdict::KeyBroken { is_news: false, others_left: true });
            }
            let was_broken = self.keys.take_out(key.digest, true, until(u64::MAX), now);
            if !others_left && self.keys.are_all_broken() {
                return OfKey::No;
            }
            return OfKey::Alone(Verdict::KeyBroken { is_news: !was_broken, others_left });
        }
        if class == OutcomeClass::Ok {
            self.keys.answered(key);
        }
        if class != OutcomeClass::RateLimited {
            return OfKey::No;
        }
        // The last one rests only when the upstream names a time: without one the channel is tried again as any other.
        let usual = others_left.then_some(tolerance.cooldown_ms);
        let Some(rests_ms) = retry_after_ms.or(usual).filter(|ms| *ms > 0) else { return OfKey::No };
        self.keys.take_out(key.digest, false, until(rests_ms), now);
        match self.keys.back_at(now) {
            // The first of them is back sooner, perhaps, than the one that was asked last.
            Some(back_at) => OfKey::Last { back_ms: u64::try_from(back_at.since_ms(now)).unwrap_or(0) },
            None => OfKey::Alone(Verdict::KeyRests),
        }
    }

    /// An attempt ended: what that says of the channel.
    fn end(
        &mut self,
        class: OutcomeClass,
        took: Option<Took>,
        retry_after_ms: Option<u64>,
        is_probe: bool,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> Verdict {
        self.leave(is_probe);
        self.learn(took, now);
        self.judge(class, retry_after_ms, is_probe, &tolerance, now)
    }

    fn view(&self, now: Timestamp, stream: bool) -> HealthView {
        HealthView {
            failures: if self.is_recent(now) { self.failures } else { 0 },
            benched_until: self.benched_until.filter(|until| now < *until),
            broken: self.broken,
            in_flight: self.in_flight,
            latency_us: if stream { self.first_content } else { self.whole }.read(now),
        }
    }

    fn latency(&self) -> LatencyView {
        LatencyView { first_content: self.first_content.told(), whole: self.whole.told() }
    }

    /// When the probe under way counts as lost, if there is one.
    fn probe_ends(&self, now: Timestamp) -> Option<Timestamp> {
        self.probe_started.map(|at| at.plus_ms(PROBE_MS)).filter(|ends| now < *ends)
    }

    fn leave(&mut self, is_probe: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if is_probe {
            self.probe_started = None;
        }
    }
}

/// Health as decisions and people see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// Failures within the last minute.
    pub failures: u32,
    /// Benched until then.
    pub benched_until: Option<Timestamp>,
    /// It failed permanently.
    pub broken: bool,
    /// Calls under way.
    pub in_flight: u32,
    /// Smoothed latency, in microseconds; 0 before the first answer. For a decision: of streams to the first content, of
    /// others to the whole answer, as the call is, and what is long ago counts less. For people: as it was when it was learnt,
    /// of whichever answered last; see [`ChannelHealth::latency`].
    pub latency_us: u64,
}

/// A smoothed latency as it was when it was last learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntLatency {
    /// In microseconds.
    pub us: u64,
    /// When the last answer came that it was learnt from.
    pub at: Timestamp,
}

/// How long a channel takes to answer: for people, not for decisions, to which what is long ago counts less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyView {
    /// Of streams, until the first content; `None` before the first.
    pub first_content: Option<LearntLatency>,
    /// Of other calls, until the whole answer; `None` before the first.
    pub whole: Option<LearntLatency>,
}

impl LatencyView {
    /// Whichever was learnt last.
    fn newest(self) -> Option<LearntLatency> {
        [self.first_content, self.whole].into_iter().flatten().max_by_key(|it| it.at)
    }
}

/// What befell a channel of late: for people, not for decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentView {
    /// Attempts that ended within the present minute.
    pub calls: u32,
    /// Of them, those that failed by the channel's fault.
    pub failures: u32,
    /// How the last of all failures ended, since somebody mended the channel.
    pub last_failure: Option<OutcomeClass>,
    /// When.
    pub last_failure_at: Option<Timestamp>,
}

/// What a failure did to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Counted,
    /// It is benched.
    Benched(Timestamp),
    /// It is out until somebody mends it.
    Broken,
    /// One of its keys is.
    KeyBroken {
        /// It wasn't known before: operators are to be told.
        is_news: bool,
        /// Another may be used at once.
        others_left: bool,
    },
    /// One of its keys rests, and others are left.
    KeyRests,
}

impl Verdict {
    /// Whether only one key of several failed and another is left: the channel itself may be asked again at once.
    pub fn is_of_key(self) -> bool {
        matches!(self, Verdict::KeyBroken { others_left: true, .. } | Verdict::KeyRests)
    }
}

/// How one key of several is doing, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its place, from 0.
    pub key: u32,
    /// It isn't used until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_until: Option<Timestamp>,
    /// Its credential was refused, or it has no balance: it is out until somebody mends the channel, or until it is asked again.
    pub disabled: bool,
}

/// When failures bench a channel.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// More failures than this within a minute bench it.
    pub allowed_fails: u32,
    /// If they are also a larger share of that minute's attempts than this, in percent.
    pub failure_min_percent: u32,
    /// The same for single classes, whose failures are counted alone, whatever their share is.
    pub allowed_fails_by: ByClass,
    /// A larger share of failures within a minute, in percent, benches it, too. `None`: no share does.
    pub failure_percent: Option<u32>,
    /// If there were so many attempts in that minute.
    pub failure_min_calls: u32,
    /// For so long, in milliseconds; doubles with each bench in a row.
    pub cooldown_ms: u64,
}

impl State {
    fn note(&mut self, class: OutcomeClass, now: Timestamp) {
        if class.is_channel_fault() {
            self.last_failure = Some((class, now));
        }
    }
}

impl ChannelHealth {
    /// What befell it of late.
    pub fn recent(&self, now: Timestamp) -> RecentView {
        let s = self.state.lock();
        let is_present = now.since_ms(s.share.start).saturating_abs() < FAILURE_WINDOW_MS;
        let share = if is_present { s.share } else { Share::default() };
        RecentView {
            calls: share.calls,
            failures: share.failures,
            last_failure: s.last_failure.map(|(class, _)| class),
            last_failure_at: s.last_failure.map(|(_, at)| at),
        }
    }

    /// How it is doing, as people are told it.
    pub fn view(&self, now: Timestamp) -> HealthView {
        let s = self.state.lock();
        let latency_us = s.latency().newest().map_or(0, |it| it.us);
        HealthView { latency_us, ..s.view(now, false) }
    }

    /// How long it takes to answer, as it was when it was learnt.
    pub fn latency(&self) -> LatencyView {
        self.state.lock().latency()
    }

    /// How it is doing, whether it may be asked or not. `stream` says which latency is told.
    pub(crate) fn look(&self, now: Timestamp, stream: bool) -> HealthView {
        self.state.lock().view(now, stream)
    }

    /// Tells which keys there are, by digest. What is known of a key stays as long as it is there; a channel whose credential
    /// was refused is asked again when it has got another.
    pub fn set_keys(&self, digests: &[u64]) {
        let mut s = self.state.lock();
        if s.keys.set(digests) && s.broken {
            s.recover();
        }
    }

    /// How its keys are doing; nothing for a channel with one.
    pub fn keys(&self, now: Timestamp) -> Vec<KeyView> {
        self.state.lock().keys.views(now)
    }

    /// A key for an attempt, by its place in `digests`, which are those of the attempt's own configuration: by `draw`, or the
    /// next in turn without it.
    pub fn pick_key(&self, digests: &[u64], draw: Option<u64>, now: Timestamp) -> u32 {
        u32::try_from(self.state.lock().keys.pick(digests, draw, now)).unwrap_or(0)
    }

    /// Whether it may be asked, and if not, why and until when. `stream` says which latency is told.
    pub fn available(&self, now: Timestamp, stream: bool) -> Result<HealthView, (Exclusion, Timestamp)> {
        let s = self.state.lock();
        if let Some(until) = s.benched_until {
            let why = if s.broken { Exclusion::Broken } else { Exclusion::Cooldown };
            if now < until {
                return Err((why, until));
            }
            // Half open: one call at a time finds out whether it is well again.
            if let Some(probe_ends) = s.probe_ends(now) {
                return Err((why, probe_ends));
            }
        }
        if let Some(until) = s.keys.back_at(now) {
            let why = if s.keys.are_all_broken() { Exclusion::Broken } else { Exclusion::Cooldown };
            return Err((why, until));
        }
        Ok(s.view(now, stream))
    }

    /// An attempt begins. Whether it is the probe that finds out if a benched channel is well again: to be handed back
    /// to [`ChannelHealth::end_with_key`] or [`ChannelHealth::cancel`].
    pub fn begin(&self, now: Timestamp) -> bool {
        let mut s = self.state.lock();
        s.in_flight = s.in_flight.saturating_add(1);
        let is_probe = s.benched_until.is_some_and(|until| now >= until) && s.probe_ends(now).is_none();
        if is_probe {
            s.probe_started = Some(now);
        }
        is_probe
    }

    /// An attempt with this key ended. `took` is how long, if that says something of the channel; `is_probe` is what
    /// [`ChannelHealth::begin`] said. What speaks against the key alone takes only the key out, as long as another is left;
    /// everything else is the channel's.
    #[allow(clippy::too_many_arguments, reason = "what an attempt's end says, each thing once")]
    pub fn end_with_key(
        &self,
        key: KeyUse,
        class: OutcomeClass,
        took: Option<Took>,
        retry_after_ms: Option<u64>,
        is_probe: bool,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> Verdict {
        let mut s = self.state.lock();
        s.note(class, now);
        let mut retry_after_ms = retry_after_ms;
        if s.keys.are_several() {
            match s.end_key(key, class, retry_after_ms, tolerance, now) {
                OfKey::Alone(verdict) => {
                    s.leave(is_probe);
                    return verdict;
                }
                OfKey::Last { back_ms } => retry_after_ms = Some(back_ms),
                OfKey::No => {}
            }
        }
        s.end(class, took, retry_after_ms, is_probe, tolerance, now)
    }

    /// An attempt has begun to answer. For a probe that is all that others wait for: a long answer keeps nobody out, and from
    /// here on it is an attempt like any other. `took` is how long that was, if it says something of the channel.
    pub fn answers(&self, is_probe: bool, took: Option<Took>, now: Timestamp) {
        let mut s = self.state.lock();
        if is_probe {
            s.probe_started = None;
            s.recover();
        }
        s.learn(took, now);
    }

    /// The keys with which the channel is to be checked now: those that are out, and for the channel itself one that isn't, when
    /// it is out or `all` are to be asked. It has answered nobody since its bench was over? Then it is still out.
    pub(crate) fn to_check(&self, all: bool, now: Timestamp) -> SmallVec<[u32; 2]> {
        let s = self.state.lock();
        let mut keys: SmallVec<[u32; 2]> = s.keys.out(now).collect();
        if (all || s.benched_until.is_some()) && keys.len() < s.keys.count() {
            let well = (0..).find(|at| !keys.contains(at)).unwrap_or(0);
            keys.push(well);
        }
        keys
    }

    /// A check with this key ended. An answer brings what was out back at once; a failure counts like that of a call, and
    /// while the channel is benched it tells nothing new.
    pub fn checked(
        &self,
        key: u32,
        class: OutcomeClass,
        retry_after_ms: Option<u64>,
        tolerance: Tolerance,
        now: Timestamp,
    ) -> (Checked, Verdict) {
        let mut s = self.state.lock();
        s.note(class, now);
        let was_out = s.benched_until.is_some();
        let used = s.keys.digest_of(key).map(|digest| KeyUse { digest, since: now });
        let key_was_out = s.keys.out(now).any(|out| out == key);
        let answered = !class.is_channel_fault();
        if let Some(used) = used.filter(|_| answered) {
            s.keys.mend_one(used.digest);
        }
        let mut retry_after_ms = retry_after_ms;
        let of_key = match used.map(|used| s.end_key(used, class, retry_after_ms, tolerance, now)) {
            // What is known already is no news.
            Some(OfKey::Alone(Verdict::KeyBroken { is_news: false, .. })) => Some(Verdict::Counted),
            Some(OfKey::Alone(verdict)) => Some(verdict),
            Some(OfKey::Last { back_ms }) => {
                retry_after_ms = Some(back_ms);
                None
            }
            Some(OfKey::No) | None => None,
        };
        let is_probe =
            answered || s.benched_until.is_some_and(|until| now >= until) && s.probe_ends(now).is_none();
        let verdict = of_key.unwrap_or_else(|| s.judge(class, retry_after_ms, is_probe, &tolerance, now));
        let checked = match (answered, was_out, key_was_out) {
            (true, true, _) => Checked::Back,
            (true, false, true) => Checked::KeyBack,
            _ if verdict == Verdict::Counted => Checked::Same,
            _ => Checked::Out,
        };
        (checked, verdict)
    }

    /// An attempt is over and nobody knows how it ended: nothing is learnt. `is_probe` is what
    /// [`ChannelHealth::begin`] said.
    pub fn cancel(&self, is_probe: bool) {
        self.state.lock().leave(is_probe);
    }

    /// Somebody mended it: all is forgiven.
    pub fn mend(&self) {
        let mut s = self.state.lock();
        *s = State {
            in_flight: s.in_flight,
            first_content: s.first_content,
            whole: s.whole,
            keys: std::mem::take(&mut s.keys),
            ..State::default()
        };
        s.keys.mend();
    }
}

#[cfg(test)]
mod tests;
