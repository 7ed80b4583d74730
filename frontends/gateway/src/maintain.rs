//! What a gateway does by itself, beside its calls: it takes up what other nodes changed, tells the operator of alerts, asks
//! channels whether they are well where that is wanted, and clears away what nobody needs any more.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join3;
use sluicegate_core::Result;
use sluicegate_core::ports::Alert;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use crate::background;
use crate::gateway::Inner;
use crate::probe::Checks;
use crate::store::Forget;

/// Another node's change holds here after this time at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two clearings.
const CLEAR_EVERY: Duration = Duration::from_secs(3_600);
/// The first one: not while the start still has better things to do.
const CLEAR_FIRST: Duration = Duration::from_secs(60);
/// Between two comparisons of sums with what they are made of.
const MEND_EVERY: Duration = Duration::from_secs(86_400);
/// The first one, which may look at years.
const MEND_FIRST: Duration = Duration::from_secs(120);
/// So many pieces are forgotten in each turn of [`LOOK_EVERY`]: 10,000 records a second.
const PIECES: usize = 20;
/// Windows' balances stay so long after their end, in milliseconds: a call that was reserved in one may settle later.
const KEEP_ENDED_MS: i64 = 86_400_000;

/// Starts the task, on the runtime that this is called on. It ends when it is aborted, or with the gateway.
pub(crate) fn start(gateway: &Arc<Inner>) -> AbortHandle {
    let gateway = Arc::downgrade(gateway);
    tokio::spawn(join3(run(gateway.clone()), mend(gateway.clone()), tend(gateway))).abort_handle()
}

/// Says that this process works on what it works on: beside everything else, which may take its time, for what isn't heard of for long
/// is lost to other processes.
async fn tend(gateway: Weak<Inner>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        background::tend(&gateway).await;
    }
}

/// Makes sums anew that a node of an earlier version didn't write: beside everything else, for it may take long.
async fn mend(gateway: Weak<Inner>) {
    let mut ticks = interval_at(Instant::now() + MEND_FIRST, MEND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        if let Err(error) = gateway.store.mend(gateway.clock.now()).await {
            tracing::warn!(%error, "sums for reports can't be compared with what they are made of; trying again tomorrow");
        }
    }
}

async fn run(gateway: Weak<Inner>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clear_at = Instant::now() + CLEAR_FIRST;
    let (mut blind, mut clearing) = (false, false);
    let mut checks = Checks::default();
    loop {
        ticks.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        gateway.engine.tell_freed();
        gateway.engine.take_alerts().iter().for_each(tell);
        checks.turn(&gateway);
        let looked = gateway.follow().await;
        if let (Err(error), false) = (&looked, blind) {
            tracing::warn!(%error, "changes of other nodes can't be seen; calls go on with what is known");
        }
        blind = looked.is_err();
        gateway.watch_policies().await;
        if Instant::now() >= clear_at {
            clear_at = Instant::now() + CLEAR_EVERY;
            clearing = true;
            if let Err(error) = gateway.store.prepare(gateway.clock.now()).await {
                tracing::warn!(%error, "the months to come have no place of their own yet; records are kept all the same");
            }
        }
        if clearing {
            clearing = clear(&gateway).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "what nobody needs any more can't be cleared away; trying again within the hour");
                false
            });
        }
    }
}

/// Forgets records and sums that need not be kept any longer, balances of windows long over, and credentials long
/// replaced; whether there is more. Without a setting records and sums stay: they are what was charged.
async fn clear(gateway: &Inner) -> Result<bool> {
    let now = gateway.clock.now();
    let retention = gateway.host.load().retention;
    let before = |kept: Option<u64>| {
        kept.map(|ms| now.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX).saturating_neg()))
    };
    let what = Forget {
        records_before: before(retention.records_ms),
        sums_before: before(retention.daily_sums_ms),
        ended_before: now.plus_ms(-KEEP_ENDED_MS),
    };
    // Who appends has its turn between two pieces.
    for _ in 0..PIECES {
        let gone = gateway.store.prune(&what).await?;
        tracing::debug!(rows = gone.rows, "cleared away what nobody needs any more");
        if !gone.more {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tell(alert: &Alert) {
    match alert {
        Alert::Debt { limit, over } => {
            tracing::error!(%limit, over, "an upstream used more than was reserved: the limit is passed, and blocks");
        }
        Alert::SoftLimit { limit } => tracing::warn!(%limit, "a soft limit is passed"),
        Alert::ChannelBroken { channel, why } => {
            tracing::error!(%channel, %why, "the channel is out until somebody mends it");
        }
        Alert::KeyBroken { channel, key, why } => {
            tracing::error!(%channel, key, %why, "a key of the channel is out until somebody mends it; the others go on");
        }
        Alert::Cooldown { channel, until } => {
            tracing::warn!(%channel, until_ms = until.as_ms(), "the channel failed and is benched");
        }
        Alert::PolicyFailed { policy, error } => tracing::error!(%policy, %error, "a script failed"),
        Alert::PolicyUnusable { policy, version, error } => {
            tracing::error!(%policy, version, %error, "a policy's version can't be used; what was in use before stays, if anything was");
        }
        Alert::PolicyRolledBack { policy, version, to, reason } => {
            tracing::error!(%policy, version, to, %reason, "a policy's new version was taken back");
        }
        Alert::Policy { policy, call, text } => tracing::warn!(%policy, %call, %text, "a script alerts"),
        Alert::AbsurdUsage { channel } => {
            tracing::error!(%channel, "an upstream reported impossible usage: it was counted here instead");
        }
        Alert::TooManyNames { kind, organization, max } => {
            let kind = kind.as_str();
            tracing::warn!(
                kind,
                organization,
                max,
                "callers name more of these than are counted one by one: those beyond share one counter; raise `max_counted` unless names are made up"
            );
        }
        other => tracing::warn!(alert = ?other, "something needs the operator's eye"),
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use std::sync::Arc;

    use sluicegate_core::{Call, Caller, ErrorKind, Format, OrganizationId, RecordEntry, Secret, Timestamp};

    use crate::admin::{Actor, NewChannel, NewKey};
    use crate::credential::KeyHash;
    use crate::store::{KeyRef, Page, Reach, RecordFilter};
    use crate::{ConfigText, Gateway, ManualClock, Options};

    /// One of several on the same database, with a data directory of its own.
    async fn node(dir: &std::path::Path, name: &str) -> Gateway {
        node_of(dir, name, "").await
    }

    /// One whose file says this.
    async fn node_of(dir: &std::path::Path, name: &str, file: &str) -> Gateway {
        let text = format!("version: 1\n{file}\n");
        let options = Options {
            config: (!file.is_empty()).then(|| ConfigText { path: "test.yaml".to_owned(), text }),
            data_dir: Some(dir.join(name)),
            database: Some(dir.join("shared.db").display().to_string()),
            variables: std::sync::Arc::new(|name| {
                (name == "SLUICEGATE_MASTER_SECRET").then(|| "m".repeat(32))
            }),
            ..Options::default()
        };
        Gateway::open(options).await.unwrap()
    }

    #[tokio::test]
    async fn what_another_node_changes_is_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (node(dir.path(), "a").await, node(dir.path(), "b").await);
        // Only what the test itself asks for.
        a.inner.maintenance.abort();
        b.inner.maintenance.abort();
        let operator = Actor::operator();
        let issued = a.admin().create_key(&operator, NewKey::default()).await.unwrap();
        b.inner.follow().await.unwrap();
        b.caller(Some(&issued.secret)).await.unwrap();

        a.admin().delete_key(&operator, &KeyRef::Hash(KeyHash::of(issued.secret.expose()))).await.unwrap();
        assert!(b.caller(Some(&issued.secret)).await.is_ok(), "it is cached");
        b.inner.follow().await.unwrap();
        let gone = b.caller(Some(&issued.secret)).await.err().unwrap();
        assert_eq!(gone.kind(), ErrorKind::Unauthenticated);

        let version = |node: &Gateway| node.engine().snapshot().version;
        let before = version(&b);
        let channel = serde_json::from_value(serde_json::json!({
            "id": "", "name": "new", "provider": "openai", "auth": "bearer", "secret": "none",
            "models": [{"group": "m", "upstream": "m"}],
            "endpoints": [{"format": "openai_chat", "url": "https://api.example.com/v1/chat/completions"}],
        }));
        let new =
            NewChannel { channel: channel.unwrap(), secret: Some(Secret::new("sk-upstream")), entry: None };
        a.admin().create_channel(&operator, new).await.unwrap();
        b.inner.follow().await.unwrap();
        assert_eq!(b.engine().snapshot().channels().len(), 1);
        assert_eq!(version(&b), before + 1);
        // Another change leaves the channels alone, and one's own change is no news.
        a.admin().create_key(&operator, NewKey::default()).await.unwrap();
        b.inner.follow().await.unwrap();
        assert_eq!(version(&b), before + 1);
        let mine = b.admin().create_key(&operator, NewKey::default()).await.unwrap();
        b.caller(Some(&mine.secret)).await.unwrap();
        b.inner.follow().await.unwrap();
        assert!(b.inner.directory.cached(&KeyHash::of(mine.secret.expose())).is_some());
        // Settings are of all nodes.
        let patch =
            serde_json::from_value(serde_json::json!({"auth.keys_per_user": 7, "routing.retries": 9}));
        a.admin().change_settings(&operator, patch.unwrap()).await.unwrap();
        b.inner.follow().await.unwrap();
        assert_eq!(b.engine().snapshot().declared.routing.retries, 9);
        assert_eq!(b.host_in_force().auth.keys_per_user, 7);
    }

    #[tokio::test]
    async fn what_is_kept_of_a_setting_that_the_file_says_can_only_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let operator = Actor::operator();
        let patch = |value: serde_json::Value| {
            serde_json::from_value(serde_json::json!({"routing.retries": value})).unwrap()
        };
        let a = node(dir.path(), "a").await;
        a.inner.maintenance.abort();
        a.admin().change_settings(&operator, patch(9.into())).await.unwrap();
        let b = node_of(dir.path(), "b", "routing: {retries: 4}").await;
        b.inner.maintenance.abort();
        for (value, refused) in [
            (5.into(), Some(ErrorKind::Conflict)),
            (serde_json::Value::Null, None),
            // Nothing is kept by now.
            (serde_json::Value::Null, Some(ErrorKind::Conflict)),
        ] {
            let done = b.admin().change_settings(&operator, patch(value)).await;
            assert_eq!(done.err().map(|error| error.kind()), refused);
            assert_eq!(b.engine().snapshot().declared.routing.retries, 4);
        }
        a.inner.follow().await.unwrap();
        assert_eq!(a.engine().snapshot().declared.routing.retries, 2);
    }

    /// A record of a call at this time: nothing served it.
    fn refused(node: &Gateway, id: &str, at: Timestamp) -> RecordEntry {
        let caller = node.engine().bind(Caller::operator(OrganizationId::from("o"), &[]));
        let call = Call::new(id, Format::OpenaiChat, "nothing-serves-it");
        let denied = node.engine().admit(call.clone(), &caller, at, 1).err().unwrap();
        node.engine().refuse(call, &caller, &denied, at, 1).into()
    }

    #[tokio::test]
    async fn records_go_after_their_time_and_their_sums_stay() {
        const DAY: i64 = 86_400_000;
        for (retention, left) in [("", 3), ("server: {retention: {records: 2d}}", 2)] {
            let clock = Arc::new(ManualClock::new(Timestamp::from_ms(0)));
            let config =
                ConfigText { path: "test.yaml".to_owned(), text: format!("version: 1\n{retention}\n") };
            let options = Options { config: Some(config), clock: clock.clone(), ..Options::default() };
            let node = Gateway::open(options).await.unwrap();
            node.inner.maintenance.abort();
            let records: Vec<RecordEntry> = [("a", 0), ("b", DAY), ("c", 2 * DAY)]
                .iter()
                .map(|(id, at)| refused(&node, id, Timestamp::from_ms(*at)))
                .collect();
            node.store().append(&records, &[], None).await.unwrap();
            // On the third day at noon what is of the first goes.
            clock.set(Timestamp::from_ms(3 * DAY + DAY / 2));
            assert!(!super::clear(&node.inner).await.unwrap(), "there is no more");
            let all = RecordFilter::default();
            let kept = node.store().records(&all, &Reach::ALL, Page::default()).await.unwrap();
            assert_eq!(kept.total, left, "{retention}");
            let sums = node.store().daily(&all, &Reach::ALL, &[], Page::default()).await.unwrap();
            assert_eq!(sums.items[0].sums.failures, 3, "{retention}");
        }
    }

    #[tokio::test]
    async fn the_task_ends_with_its_gateway() {
        let dir = tempfile::tempdir().unwrap();
        let node = node(dir.path(), "a").await;
        node.shutdown().await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(node.inner.maintenance.is_finished());
    }
}
