//! What operators do: they reconcile what is held, and change limits.

use super::*;

impl History {
    pub(super) fn reconcile(&mut self, node: &mut Node) {
        let held: Vec<Held> = node.engine.ledger().held().collect();
        if held.is_empty() {
            return;
        }
        let it = self.rng.pick(&held).clone();
        if !it.recorded && it.class.is_some() {
            return self.tell("not reconciled: its call goes on");
        }
        self.tell("reconcile");
        let reserved = if self.rng.percent(50) { Amounts::default() } else { it.reserved() };
        self.reconcile_as(node, &it, reserved);
    }

    /// As the gateway does: the record that the call may lack, then the settlement, then the amendment.
    pub(super) fn reconcile_as(&mut self, node: &mut Node, held: &Held, used: Amounts) {
        let (call, tried) = (held.call.clone().unwrap(), held.attempt.clone().unwrap());
        let dropped = node.engine.ledger().record_of_dropped(&call);
        if let Some(record) = dropped {
            self.push(node, record);
        }
        // At the list price, whatever the tenant's ratio.
        let of_channel = |it: &&HeldAmount| it.of_channel && it.metric == Metric::Spend;
        let held_cost = held.amounts.iter().filter(of_channel).map(|it| it.amount).max();
        let cost = if used == Amounts::default() { 0 } else { held_cost.unwrap_or(tried.bound_cost) };
        let ending = Ending {
            class: OutcomeClass::Timeout,
            status: None,
            usage: Usage {
                input_uncached: used.input_tokens as u64,
                output_visible: used.output_tokens as u64,
                ..Usage::default()
            },
            source: UsageSource::Counted,
            spend: used.spend,
            cost,
            service_tier: None,
            exchange: None,
            at: self.clock.now(),
        };
        assert!(node.engine.ledger().end(held.id, &ending, self.clock.now()).is_some());
        if self.rng.percent(20) {
            // Nobody comes to write it.
            self.commit(node);
            self.disk.crash_now();
            return;
        }
        let id = amendment_id(&call, tried.number);
        let record = record_of(id, Some(call), vec![(tried, Fate::Ended(ending))]).unwrap();
        self.push(node, record);
    }

    pub(super) fn change_limit(&mut self, node: &mut Node) {
        let tenant = self.rng.below(self.world.chains.len() as u64) as usize;
        let link = self.rng.below(4) as usize;
        let count = self.world.chains[tenant][link].limits.len() as u64;
        if count == 0 {
            return;
        }
        let at = self.rng.below(count) as usize;
        let limit = &mut self.world.chains[tenant][link].limits[at];
        let lowers = self.traits.lowers && self.rng.percent(50);
        limit.max = if lowers { limit.max / 2 } else { limit.max * 2 };
        let changed = self.world.chains[tenant][link].clone();
        self.world.changed.insert(changed.scope.clone());
        if lowers {
            self.excuse([changed.scope.clone()]);
        }
        self.tell(format!("{} has another limit", changed.scope));
        for chain in &mut self.world.chains {
            chain
                .iter_mut()
                .filter(|link| link.scope == changed.scope)
                .for_each(|link| link.clone_from(&changed));
        }
        node.callers = (0..self.world.chains.len()).map(|at| self.world.bind(&node.engine, at)).collect();
        node.watched = self.world.watch(&node.engine);
    }

    pub(super) fn reset(&mut self, node: &mut Node) {
        let cells: Vec<_> = node.watched.iter().map(|of| of.bound.cell).collect();
        if cells.is_empty() {
            return;
        }
        self.tell("reset");
        let cell = *self.rng.pick(&cells);
        node.engine.ledger().reset(cell, self.clock.now());
        self.commit(node);
    }
}
