//! How much one thing may hold. What a key, its user, group and organization hold is read with each of its calls and shown in
//! lists, so that who may write much of it slows everybody else down.
//!
//! Whoever has more from an earlier version keeps it, and may have less.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use sluicegate_core::{
    ApiKey, Channel, Group, Limit, Membership, ModelAccess, ModelName, Organization, Result, User, Window,
};

use super::invalid;

/// Limits of one thing.
const LIMITS_MAX: usize = 32;
/// Of them those of rolling windows: each keeps up to 60 buckets.
const ROLLING_MAX: usize = 8;
/// Models in a list.
const MODELS_MAX: usize = 1_000;
/// Items of any other list.
const ITEMS_MAX: usize = 256;
/// Bytes of one text.
const TEXT_MAX: usize = 256;
/// Bytes of free data, as JSON.
const METADATA_MAX: usize = 64 * 1024;

/// One measure of a thing: which field, what is counted, how much there is and may be.
struct Measure {
    param: &'static str,
    unit: &'static str,
    is: usize,
    most: usize,
}

/// What has bounds.
pub(super) trait Bounded {
    /// How much of each there is, always in the same order.
    fn measure(&self, into: &mut Measures);

    /// Its limits, for those that make no sense.
    fn limits(&self) -> &[Limit];
}

/// Everything that was measured of a thing.
#[derive(Default)]
pub(super) struct Measures(Vec<Measure>);

impl Measures {
    fn put(&mut self, param: &'static str, unit: &'static str, is: usize, most: usize) -> &mut Self {
        self.0.push(Measure { param, unit, is, most });
        self
    }

    fn limits(&mut self, limits: &[Limit]) -> &mut Self {
        let rolls = |it: &&Limit| matches!(it.window, Window::RollingMs(_));
        let names = limits.iter().filter_map(|it| it.model.as_ref()).map(|name| name.as_str().len());
        self.put("limits", "limits", limits.len(), LIMITS_MAX)
            .put("limits", "limits over rolling windows", limits.iter().filter(rolls).count(), ROLLING_MAX)
            .put("limits", "bytes in a model's name", names.max().unwrap_or_default(), TEXT_MAX)
    }

    fn texts<'a>(
        &mut self,
        param: &'static str,
        (count, most): (usize, usize),
        items: impl Iterator<Item = &'a str>,
    ) -> &mut Self {
        let longest = items.map(str::len).max().unwrap_or_default();
        self.put(param, "items", count, most).put(param, "bytes in an item", longest, TEXT_MAX)
    }

    fn name(&mut self, param: &'static str, name: Option<&str>) -> &mut Self {
        self.put(param, "bytes", name.map_or(0, str::len), TEXT_MAX)
    }

    fn models(&mut self, access: &ModelAccess) -> &mut Self {
        let names = access.patterns();
        self.texts("models", (names.len(), MODELS_MAX), names.iter().map(ModelName::as_str))
    }

    fn aliases(&mut self, aliases: &IndexMap<ModelName, ModelName>) -> &mut Self {
        let names = aliases.iter().flat_map(|(name, meant)| [name.as_str(), meant.as_str()]);
        self.texts("aliases", (aliases.len(), ITEMS_MAX), names)
    }

    fn metadata(&mut self, data: &Map<String, Value>) -> &mut Self {
        let bytes = serde_json::to_vec(data).map_or(0, |text| text.len());
        self.put("metadata", "bytes of JSON", bytes, METADATA_MAX)
    }
}

impl Bounded for ApiKey {
    fn measure(&self, into: &mut Measures) {
        into.limits(&self.limits)
            .name("alias", self.alias.as_deref())
            .models(&self.access)
            .aliases(&self.aliases)
            .put("allowed_ips", "items", self.allowed_ips.len(), ITEMS_MAX)
            .texts("tags", (self.tags.len(), ITEMS_MAX), self.tags.iter().map(String::as_str))
            .metadata(&self.metadata);
    }

    fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

impl Bounded for Group {
    fn measure(&self, into: &mut Measures) {
        into.limits(&self.limits)
            .name("alias", self.alias.as_deref())
            .models(&self.access)
            .aliases(&self.aliases)
            .put("preferences", "items", self.preferences.len(), ITEMS_MAX)
            .metadata(&self.metadata);
    }

    fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

impl Bounded for User {
    fn measure(&self, into: &mut Measures) {
        into.limits(&self.limits)
            .name("alias", self.alias.as_deref())
            .name("email", self.email.as_deref())
            .models(&self.access)
            .metadata(&self.metadata);
    }

    fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

impl Bounded for Organization {
    fn measure(&self, into: &mut Measures) {
        into.limits(&self.limits)
            .name("alias", self.alias.as_deref())
            .models(&self.access)
            .metadata(&self.metadata);
    }

    fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

impl Bounded for Membership {
    fn measure(&self, into: &mut Measures) {
        into.limits(&self.limits);
    }

    fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

/// What a channel else holds is the whole installation's, and a super administrator's to write.
impl Bounded for Channel {
    fn measure(&self, into: &mut Measures) {
        into.limits(&self.limits);
    }

    fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

/// Limits by themselves, such as a budget's.
impl Bounded for [Limit] {
    fn measure(&self, into: &mut Measures) {
        into.limits(self);
    }

    fn limits(&self) -> &[Limit] {
        self
    }
}

/// Refuses what holds too much, or more of that than before, and limits that make no sense.
///
/// # Errors
/// `InvalidRequest` naming the field and how much there may be.
pub(super) fn check<T: Bounded + ?Sized>(before: Option<&T>, after: &T) -> Result<()> {
    if let Some(limit) = after.limits().iter().find(|limit| limit.max < 0) {
        let (metric, window) = (limit.metric.as_str(), limit.window);
        let message = format!("the limit on {metric} per {window} is negative; give 0 or more");
        return Err(invalid("limits", message));
    }
    let measured = |it: &T| {
        let mut all = Measures::default();
        it.measure(&mut all);
        all.0
    };
    let known = before.map(measured).unwrap_or_default();
    for (at, it) in measured(after).iter().enumerate() {
        let had = known.get(at).map_or(0, |before| before.is);
        if it.is > it.most && it.is > had {
            let Measure { param, unit, is, most } = it;
            let message = format!("`{param}` has {is} {unit}; at most {most} are kept, so give fewer");
            return Err(invalid(param, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluicegate_core::Metric;

    use super::*;

    fn key(more: Value) -> ApiKey {
        let mut it = json!({"id": "k", "organization": "o"});
        it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(it).unwrap()
    }

    fn limits(count: usize, window: impl Fn(u64) -> Window) -> Vec<Limit> {
        (1..).take(count).map(|n| Limit::strict(Metric::Requests, window(n), 5)).collect()
    }

    #[test]
    fn what_is_too_much_is_refused_with_its_field_and_bound() {
        let many = |count: usize| (0..count).map(|n| format!("m{n}")).collect::<Vec<_>>();
        let map = |count: usize| many(count).into_iter().map(|it| (it, json!("m"))).collect::<Map<_, _>>();
        let ips =
            |count: usize| (0..count).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect::<Vec<_>>();
        for (fine, wrong, told) in [
            (
                json!({"access": many(1_000)}),
                json!({"access": many(1_001)}),
                "`models` has 1001 items; at most 1000",
            ),
            (
                json!({"access": ["m".repeat(256)]}),
                json!({"access": ["m".repeat(257)]}),
                "`models` has 257 bytes in an item",
            ),
            (json!({"aliases": map(256)}), json!({"aliases": map(257)}), "`aliases` has 257 items"),
            (json!({"tags": many(256)}), json!({"tags": many(257)}), "`tags` has 257 items; at most 256"),
            (
                json!({"allowed_ips": ips(256)}),
                json!({"allowed_ips": ips(257)}),
                "`allowed_ips` has 257 items",
            ),
            (json!({"alias": "a".repeat(256)}), json!({"alias": "a".repeat(257)}), "`alias` has 257 bytes"),
            (
                json!({"metadata": {"a": "x".repeat(METADATA_MAX - 8)}}),
                json!({"metadata": {"a": "x".repeat(METADATA_MAX - 7)}}),
                "`metadata` has 65537 bytes of JSON; at most 65536",
            ),
        ] {
            check(None, &key(fine)).unwrap();
            let error = check(None, &key(wrong)).unwrap_err();
            assert!(error.message().contains(told), "{told}: {error}");
        }
    }

    #[test]
    fn limits_are_few_and_those_that_roll_fewer() {
        let of_models = |count: usize| {
            let mut all = limits(count, |_| Window::Day);
            (0..).zip(&mut all).for_each(|(n, it)| it.model = Some(format!("m{n}").into()));
            all
        };
        check(None, of_models(32).as_slice()).unwrap();
        let error = check(None, of_models(33).as_slice()).unwrap_err();
        assert!(error.message().contains("33 limits; at most 32"), "{error}");
        let rolling = |count| limits(count, |n| Window::RollingMs(60_000 + n * 1_000));
        check(None, rolling(8).as_slice()).unwrap();
        let error = check(None, rolling(9).as_slice()).unwrap_err();
        assert!(error.message().contains("9 limits over rolling windows; at most 8"), "{error}");
        let mut wrong = of_models(1);
        wrong.iter_mut().for_each(|it| it.max = -1);
        assert!(check(None, wrong.as_slice()).is_err());
    }

    #[test]
    fn who_has_more_from_before_may_keep_it_or_have_less() {
        let all = |count| limits(count, |_| Window::Day);
        let before = all(40);
        check(Some(before.as_slice()), before.as_slice()).unwrap();
        check(Some(before.as_slice()), all(35).as_slice()).unwrap();
        check(Some(before.as_slice()), all(41).as_slice()).unwrap_err();
    }
}
