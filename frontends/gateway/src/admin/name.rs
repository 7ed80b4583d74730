//! What keys and groups are called, for reports that tell of many; and whether what a report is asked about is the asker's to see.

use std::collections::{HashMap, HashSet};

use sluicegate_core::{ApiKey, ErrorKind, GroupId, KeyId, OrganizationId, Result, UserId};

use super::key::matches_filter;
use super::{Actor, Admin};
use crate::credential::KeyHash;
use crate::store::{KeyFilter, KeyName, KeyRef, Listing, Page, RecordFilter};

impl Admin {
    /// What these keys are called, as far as there are any that an actor may see: one question of the store for each 500.
    ///
    /// # Errors
    /// `Store`.
    pub async fn key_names<'a>(
        &self,
        actor: &Actor,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, KeyName>> {
        let (reach, declared) = (actor.reach(), self.declared());
        let (mut names, mut stored) = (HashMap::new(), Vec::new());
        for id in ids.into_iter().collect::<HashSet<_>>() {
            match declared.key(&KeyRef::Id(KeyId::from(id))).filter(|(_, key)| reach.has_key(key)) {
                Some((hash, key)) => {
                    let (alias, group) = (key.alias.clone(), key.group.clone());
                    names.insert(id.to_owned(), KeyName { id: key.id.clone(), hash: *hash, alias, group });
                }
                // Calls without a key have none.
                None if id.is_empty() => {}
                None => stored.push(id),
            }
        }
        let found = self.store().key_names(&stored, &reach).await?;
        names.extend(found.into_iter().map(|name| (name.id.to_string(), name)));
        Ok(names)
    }

    /// The names for people of those of these groups that have one, likewise.
    ///
    /// # Errors
    /// `Store`.
    pub async fn group_names<'a>(
        &self,
        actor: &Actor,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, String>> {
        let (reach, declared) = (actor.reach_of_groups(), self.declared());
        let (mut names, mut stored) = (HashMap::new(), Vec::new());
        for id in ids.into_iter().collect::<HashSet<_>>() {
            match declared.group(id).filter(|group| group.id.as_str() == id && reach.has_group(group)) {
                Some(group) => names.extend(group.alias.clone().map(|alias| (id.to_owned(), alias))),
                None if id.is_empty() => {}
                None => stored.push(id),
            }
        }
        let found = self.store().group_names(&stored, &reach).await?;
        names.extend(found.into_iter().filter_map(|it| Some((it.id.to_string(), it.alias?))));
        Ok(names)
    }

    /// Whose these groups are, as far as an actor may see them.
    ///
    /// # Errors
    /// `Store`.
    pub(super) async fn organizations_of_groups<'a>(
        &self,
        actor: &Actor,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, OrganizationId>> {
        let (reach, declared) = (actor.reach_of_groups(), self.declared());
        let (mut all, mut stored) = (HashMap::new(), Vec::new());
        for id in ids {
            match declared.group(id).filter(|group| group.id.as_str() == id) {
                Some(group) if reach.has_group(group) => {
                    all.insert(id.to_owned(), group.organization.clone());
                }
                Some(_) => {}
                None => stored.push(id),
            }
        }
        let found = self.store().group_names(&stored, &reach).await?;
        all.extend(found.into_iter().map(|it| (it.id.to_string(), it.organization)));
        Ok(all)
    }

    /// The names for people of the keys that an actor sees and that have one, sorted.
    ///
    /// # Errors
    /// `Store`.
    pub async fn key_aliases(
        &self,
        actor: &Actor,
        filter: &KeyFilter,
        page: Page,
    ) -> Result<Listing<String>> {
        let (reach, declared) = (actor.reach(), self.declared());
        let fits = |(hash, key): &(&KeyHash, &ApiKey)| {
            reach.has_key(key) && matches_filter(filter, key, Some(**hash))
        };
        let of_file = declared.keys().filter(fits).filter_map(|(_, key)| key.alias.clone());
        let mut all: Vec<String> = of_file.collect();
        // Each of them moves what is stored behind it by one: so many more are read in front of the page.
        let more = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let offset = page.offset.saturating_sub(more);
        let end = page.offset.saturating_add(u64::from(page.limit));
        let limit = u32::try_from(end.saturating_sub(offset)).unwrap_or(u32::MAX);
        let found = self.store().key_aliases(filter, &reach, Page { limit, offset, ..page }).await?;
        all.extend(found.items);
        all.sort();
        let skip = usize::try_from(page.offset.saturating_sub(offset)).unwrap_or(usize::MAX);
        let items = all.into_iter().skip(skip).take(page.limit as usize).collect();
        Ok(Listing { items, total: found.total.saturating_add(more) })
    }

    /// The e-mail addresses of those of these users that have one, likewise.
    ///
    /// # Errors
    /// `Store`.
    pub async fn user_addresses<'a>(
        &self,
        actor: &Actor,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<HashMap<String, String>> {
        let (reach, declared) = (actor.reach(), self.declared());
        let (mut of_file, mut stored) = (Vec::new(), Vec::new());
        for id in ids.into_iter().collect::<HashSet<_>>() {
            match declared.user(&UserId::from(id)) {
                Some(it) => of_file.push(it),
                None => stored.push(id),
            }
        }
        let seen = self.seen(&reach, of_file).await?.into_iter();
        let mut addresses: HashMap<String, String> =
            seen.filter_map(|it| Some((it.id.to_string(), it.email.clone()?))).collect();
        let found = self.store().user_addresses(&stored, &reach).await?;
        addresses.extend(found.into_iter().filter_map(|(id, email)| Some((id.to_string(), email?))));
        Ok(addresses)
    }

    /// The user whom a report is about: one whom an actor sees, or one who is gone and has used what the actor sees.
    ///
    /// # Errors
    /// `NotFound` of anybody else, whether or not there is such a user. `Store`.
    pub async fn user_of_report(&self, actor: &Actor, id: &str) -> Result<UserId> {
        let id = UserId::from(id);
        let found = self.find_user(actor, &id).await.map(drop);
        let of = RecordFilter { user: Some(id.clone()), ..RecordFilter::default() };
        self.seen_or_used(actor, found, of).await.map(|()| id)
    }

    /// The organization, likewise.
    ///
    /// # Errors
    /// As [`user_of_report`](Self::user_of_report).
    pub async fn organization_of_report(&self, actor: &Actor, id: &str) -> Result<OrganizationId> {
        let id = OrganizationId::from(id);
        let found = self.find_organization(actor, &id).await.map(drop);
        let of = RecordFilter { organization: Some(id.clone()), ..RecordFilter::default() };
        self.seen_or_used(actor, found, of).await.map(|()| id)
    }

    /// The group, likewise, by id or alias; one that is gone by its id.
    ///
    /// # Errors
    /// As [`user_of_report`](Self::user_of_report).
    pub async fn group_of_report(&self, actor: &Actor, name: &str) -> Result<GroupId> {
        match self.resolve_group(actor, name).await {
            Ok(group) => Ok(group.value.id),
            Err(error) => {
                let id = GroupId::from(name);
                let of = RecordFilter { group: Some(id.clone()), ..RecordFilter::default() };
                self.seen_or_used(actor, Err(error), of).await.map(|()| id)
            }
        }
    }

    /// The key, likewise, by whatever it is found by; one that is gone by its id.
    ///
    /// # Errors
    /// As [`user_of_report`](Self::user_of_report).
    pub async fn key_of_report(&self, actor: &Actor, name: &str) -> Result<KeyId> {
        match self.find_key(actor, &self.key_named(actor, name).await?).await {
            Ok((key, _)) => Ok(key.value.id),
            Err(error) => {
                let id = KeyId::from(name);
                let of = RecordFilter { key: Some(id.clone()), ..RecordFilter::default() };
                self.seen_or_used(actor, Err(error), of).await.map(|()| id)
            }
        }
    }

    /// What isn't found is gone where an actor sees what it has used: its reports stay theirs. Anything else isn't told from what
    /// there never was.
    async fn seen_or_used(&self, actor: &Actor, found: Result<()>, of: RecordFilter) -> Result<()> {
        let error = match found {
            Err(error) if error.kind() == ErrorKind::NotFound => error,
            found => return found,
        };
        self.0.host.flush_records().await?;
        let rows = self.store().daily(&of, &actor.reach(), &[], Page::default()).await?;
        let is_used = rows.items.iter().any(|row| row.sums.calls.max(row.sums.requests) > 0);
        if is_used { Ok(()) } else { Err(error) }
    }
}
