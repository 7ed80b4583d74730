//! What callers do: calls begin, are sent, tried again, and end.

use super::*;

impl History {
    pub(super) fn call(&mut self, node: &mut Node, report: &mut Report) {
        if node.journal.ready().is_err() {
            return self.tell("not ready");
        }
        self.calls += 1;
        report.calls += 1;
        let tenant = self.rng.below(node.callers.len() as u64) as usize;
        let mut call = Call::new(format!("call-{}", self.calls), Format::OpenaiChat, "m");
        call.input_bound = Some(20 + self.rng.below(200));
        call.input_estimate = call.input_bound.unwrap_or_default() / 4;
        call.max_output = self.rng.percent(60).then_some(1).map(|_| 1 + self.rng.below(300));
        call.choices = if self.rng.percent(10) { 2 } else { 1 };
        let (caller, now, seed) = (&node.callers[tenant], self.clock.now(), self.rng.next());
        self.tell(format!("call {} of tenant {tenant}", call.id));
        match node.engine.admit(call.clone(), caller, now, seed) {
            Ok(admission) => {
                let (due, waits, tried, lied) = (Vec::new(), None, None, false);
                node.flights.push(Flight { admission, tenant, waits, tried, due, lied });
                self.next(node, node.flights.len() - 1);
            }
            Err(denied) => {
                self.denied += 1;
                let record = node.engine.refuse(call, caller, &denied, now, seed);
                self.push(node, record);
            }
        }
    }

    /// Asks what is next for a call, and sends it there.
    pub(super) fn next(&mut self, node: &mut Node, at: usize) {
        let now = self.clock.now();
        match node.engine.next(&mut node.flights[at].admission, now) {
            Next::Try(attempt) => {
                let flight = &mut node.flights[at];
                let tried = Tried::new(flight.admission.call(), &attempt);
                let (tenant, is_first) = (flight.tenant, attempt.number == 1);
                let scopes = self.scopes(tenant, &tried.channel);
                (flight.waits, flight.tried) = (None, Some(tried));
                check::granted(self, node, &scopes, is_first);
                self.amid = check::stand(node, now);
                if !self.commit(node) {
                    self.tell("it can't be written, and isn't sent");
                    let unsent = Outcome { sent: false, ..Outcome::failed(OutcomeClass::ClientGone, None) };
                    self.observe(node, at, &unsent);
                    self.end(node, at, Some("store_unavailable"));
                }
            }
            Next::Wait(until) => {
                node.flights[at].waits = Some(until);
                self.commit(node);
            }
            Next::Done(failure) => {
                self.denied += u64::from(matches!(failure, Failure::Denied(_)));
                self.end(node, at, Some("failed"));
            }
            Next::Queue(_) | Next::Refill(_) | Next::Count(_) => {
                panic!("this node owns everything, waits for nobody and counts nothing")
            }
        }
    }

    pub(super) fn end(&mut self, node: &mut Node, at: usize, error: Option<&str>) {
        let Flight { admission, tried, mut due, lied, .. } = node.flights.swap_remove(at);
        due.extend(tried.map(|_| read_only(admission.call())));
        let record = node.engine.finish(admission, error, self.clock.now());
        check::charged(&record, &due, lied);
        self.push(node, record);
    }

    /// The gateway learns how the attempt under way ended.
    pub(super) fn observe(&mut self, node: &mut Node, at: usize, outcome: &Outcome) {
        let flight = &mut node.flights[at];
        let allowed =
            flight.tried.as_ref().filter(|tried| tried.ceiling).map_or(u64::MAX, |tried| tried.output);
        node.engine.observe(&mut flight.admission, outcome, self.clock.now());
        let due = match outcome.class {
            // What nobody reported is counted by us, and by that no more than the upstream was allowed.
            _ if outcome.status == Some(200) => outcome.reported.unwrap_or(Usage {
                output_visible: outcome.counted.output_visible.min(allowed),
                ..outcome.counted
            }),
            OutcomeClass::Timeout => read_only(flight.admission.call()),
            _ => Usage::default(),
        };
        flight.due.push(due);
        if let Some(tried) = flight.tried.take() {
            self.last_ended = Some(tried.reservation);
        }
    }

    /// Somebody ends what has ended.
    pub(super) fn settle_again(&mut self, node: &Node) {
        let Some(id) = self.last_ended else { return };
        self.tell("settled again");
        let now = self.clock.now();
        let amounts = Amounts { input_tokens: 100, output_tokens: 100, spend: 300_000 };
        let mut ledger = node.engine.ledger();
        assert!(ledger.settle(id, amounts, amounts, now).is_none(), "a reservation is settled twice");
        assert!(!ledger.hold(id, now), "a reservation is held that was settled");
        assert!(!ledger.shrink(id, Amounts::default(), Amounts::default(), now), "it has nothing any more");
    }

    /// As the gateway does: logged and queued under one lock, then written.
    pub(super) fn push(&mut self, node: &mut Node, record: UsageRecord) {
        let call = record.call.to_string();
        let entry = RecordEntry::from(record);
        {
            let mut ledger = node.engine.ledger();
            ledger.log_record(&entry.call, entry.json().as_bytes());
            node.queue.push(entry);
        }
        self.ended.insert(call.clone());
        if self.commit(node) {
            self.confirmed.insert(call);
        }
    }

    /// Something happens to a call under way.
    pub(super) fn go_on(&mut self, node: &mut Node) {
        if node.flights.is_empty() {
            return;
        }
        let at = self.rng.below(node.flights.len() as u64) as usize;
        if let Some(until) = node.flights[at].waits {
            self.clock.set(self.clock.now().max(until));
            self.stood = check::stand(node, self.clock.now());
            self.amid.clone_from(&self.stood);
            return self.next(node, at);
        }
        if self.rng.percent(15) {
            return self.begin(node, at);
        }
        let outcome = self.outcome(&mut node.flights[at]);
        self.tell(format!("{}: {:?}", node.flights[at].admission.call().id, outcome.class));
        let over = outcome.class;
        self.observe(node, at, &outcome);
        match over {
            OutcomeClass::Ok => self.end(node, at, None),
            OutcomeClass::Broken | OutcomeClass::ClientGone => self.end(node, at, Some("broken")),
            _ => self.next(node, at),
        }
    }

    /// The upstream answers and says how much input it is: what was reserved beyond that is free.
    pub(super) fn begin(&mut self, node: &mut Node, at: usize) {
        let Flight { admission, tenant, tried: Some(tried), .. } = &mut node.flights[at] else { return };
        let least = admission.call().input_estimate.max(1).min(tried.input);
        tried.input = least + self.rng.below(tried.input - least + 1);
        tried.began = true;
        let (input, output) = (tried.input, tried.output);
        let price = self.world.channels[0].models[0].price.on(self.clock.now());
        let amounts = |ratio| Amounts {
            input_tokens: input as i64,
            output_tokens: output as i64,
            spend: price.bound(input, output, Reach::ALL, ratio),
        };
        let (tenant, channel) = (amounts(self.world.ratio(*tenant)), amounts(1_000_000));
        let done = node.engine.ledger().shrink(tried.reservation, tenant, channel, self.clock.now());
        assert!(done, "an attempt under way has no reservation");
        self.tell(format!("{} has {input} tokens of input", node.flights[at].admission.call().id));
        self.commit(node);
    }

    /// What a flaky upstream does. Never more than the ceiling, but for one in many that lies.
    pub(super) fn outcome(&mut self, flight: &mut Flight) -> Outcome {
        let Some(tried) = &flight.tried else { return Outcome::failed(OutcomeClass::Timeout, None) };
        let (mut input, mut output) = (tried.input, tried.output);
        if self.rng.percent(85) {
            output = self.rng.below(output.min(60) + 1);
            input = if tried.began { input } else { 1 + self.rng.below(input) };
        }
        if self.traits.lies && self.rng.percent(3) {
            output = 5_000;
            flight.lied = true;
            let scopes = self.scopes(flight.tenant, &tried.channel);
            self.excuse(scopes);
        }
        let usage = Usage { input_uncached: input, output_visible: output, ..Usage::default() };
        let began = |class| Outcome { counted: usage, ..Outcome::failed(class, Some(200)) };
        match self.rng.below(if tried.began { 15 } else { 20 }) {
            0..11 => Outcome::answered(usage),
            // Nothing was reported: it is counted.
            11 => began(OutcomeClass::Ok),
            12 => began(OutcomeClass::Broken),
            13 => began(OutcomeClass::ClientGone),
            14 if tried.began => began(OutcomeClass::Timeout),
            14 => Outcome::failed(OutcomeClass::Timeout, None),
            15 => Outcome::failed(OutcomeClass::RateLimited, Some(429)),
            16 => Outcome::failed(OutcomeClass::Unreachable, None),
            _ => Outcome::failed(OutcomeClass::ServerError, Some(503)),
        }
    }

    pub(super) fn wait(&mut self) {
        let ms = match self.rng.below(20) {
            0..8 => self.rng.below(500) as i64,
            8..14 => self.rng.below(20_000) as i64,
            14..17 => 60_000,
            17 => 3_600_000,
            18 => 86_400_000,
            _ if self.traits.warps => {
                self.warped = true;
                -(self.rng.below(7_200_000) as i64)
            }
            _ => 1,
        };
        self.tell(format!("{ms} ms pass"));
        self.clock.set(self.clock.now().plus_ms(ms));
    }
}
