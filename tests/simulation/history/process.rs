//! What becomes of the process: checkpoints, crashes, starts.

use super::*;

impl History {
    /// As the gateway does: what was taken before first, then the journal, then the database.
    pub(super) fn checkpoint(&mut self, node: &mut Node) -> bool {
        self.tell("checkpoint");
        if !self.store_batch(node) {
            return false;
        }
        let queue = &mut node.queue;
        let ledger = node.engine.shared_ledger();
        node.batch = journal::gather(&ledger, Some(node.journal.id()), self.clock.now(), false, || {
            std::mem::take(queue)
        });
        self.commit(node) && self.store_batch(node)
    }

    pub(super) fn store_batch(&mut self, node: &mut Node) -> bool {
        let Batch { records, balances, checkpoint } = &node.batch;
        if records.is_empty() && balances.is_empty() {
            return true;
        }
        // A batch that couldn't be secured when it was taken waits for that.
        if !self.commit(node) || now(self.store.append(records, balances, *checkpoint)).is_err() {
            return false;
        }
        let position = checkpoint.map(|checkpoint| checkpoint.position);
        node.batch = Batch::default();
        // Segments that stay for now are no harm.
        position.is_none_or(|position| node.journal.checkpointed(position).is_ok() || !self.disk.crashed())
    }

    /// A call is dropped by who drove it.
    pub(super) fn lose(&mut self, node: &mut Node) {
        if node.flights.is_empty() {
            return;
        }
        let at = self.rng.below(node.flights.len() as u64) as usize;
        let flight = node.flights.swap_remove(at);
        self.tell(format!("{} is lost", flight.admission.call().id));
        let before = check::stand(node, self.clock.now());
        if self.rng.percent(50) {
            let record = node.engine.abandon(flight.admission, self.clock.now());
            self.push(node, record);
        } else {
            // The next start writes its record, and an operator who reconciles it.
            drop(flight);
            self.commit(node);
        }
        // Nobody knows what it used: it may have used everything.
        check::same_use(&before, &check::stand(node, self.clock.now()));
    }

    pub(super) fn start(&mut self, report: &mut Report) -> Option<Node> {
        let engine = self.world.engine();
        let disk: Arc<dyn Disk> = Arc::new(Handle(Arc::clone(&self.disk)));
        let clock: Arc<dyn Clock> = self.clock.clone();
        let fresh = JournalId(u128::from(self.rng.next()));
        let opening = Opening { options: self.options, fresh, salvage: false };
        let opened = now(journal::open(&engine.shared_ledger(), &*self.store, &disk, &clock, opening));
        let (journal, found) = match opened {
            Ok(opened) => opened,
            Err(_) if self.disk.crashed() => return None,
            Err(why) => panic!("the journal can't be opened: {why}"),
        };
        report.held += found.held as u64;
        let callers = (0..self.world.chains.len()).map(|at| self.world.bind(&engine, at)).collect();
        let watched = self.world.watch(&engine);
        self.last_ended = None;
        self.excused.clone_from(&self.ever_excused);
        Some(Node {
            engine,
            callers,
            watched,
            journal,
            queue: Vec::new(),
            batch: Batch::default(),
            flights: Vec::new(),
        })
    }

    /// The process has ended; another begins, and may end while it begins.
    pub(super) fn restart(&mut self, node: Node, report: &mut Report) -> Node {
        let ends = check::stand(&node, self.clock.now());
        // What the dead process still knows is lost with it.
        let flights = node.flights.len();
        drop(node);
        let powerless = self.options.durability == Durability::Power && self.rng.percent(50);
        let crash = if powerless { Crash::PowerLoss } else { Crash::Kill };
        self.tell(format!("{crash:?} with {flights} calls under way"));
        loop {
            let hit = self.disk.restart(crash);
            *report.coverage.entry((crash, hit)).or_default() += 1;
            self.store.tables.lock().unwrap().down = false;
            if self.rng.percent(25) {
                let fuse = self.rng.below(8);
                self.tell(format!("crash in {fuse} operations of the start"));
                self.disk.light(fuse);
            }
            if let Some(node) = self.start(report)
                && !self.disk.crashed()
            {
                report.recoveries += 1;
                let stands = check::stand(&node, self.clock.now());
                // While nothing could be written, only what was confirmed can be asked for.
                if self.written {
                    check::recovered(self, [&self.stood, &self.amid, &ends], &stands);
                }
                check::records(self, &self.confirmed, &self.ended);
                check::books(self, &node);
                return node;
            }
        }
    }

    /// Everything ends, and the books are compared.
    pub(super) fn settle_down(&mut self, mut node: Node, report: &mut Report) {
        self.disk.restart(Crash::Kill);
        while !node.flights.is_empty() {
            let last = node.flights.len() - 1;
            self.end(&mut node, last, Some("cancelled"));
        }
        self.store.tables.lock().unwrap().down = false;
        let held: Vec<_> = node.engine.ledger().held().collect();
        for held in held {
            self.reconcile_as(&mut node, &held, Amounts::default());
            // What would have ended the process does so below.
            self.disk.restart(Crash::Kill);
        }
        assert!(self.checkpoint(&mut node), "nothing is in the way");
        check::nothing_open(self, &node);
        check::records(self, &self.confirmed, &self.ended);
        drop(node);
        // And once more from the start: nothing is open, nothing new is found.
        let again = self.start(report).expect("nothing is in the way");
        assert_eq!(again.engine.ledger().held().count(), 0, "nothing was under way");
        check::books(self, &again);
    }
}
