//! What the agent's policy leaves of a unit. It decides entry by entry, once for each: what was let in is gone on with.

use postern_protocol::Failure;

use super::super::memory::{self, Note};
use super::super::plan::Refused;
use super::Unit;
use super::work::{End, Work, found_out};
use crate::metrics::metrics;
use crate::policy::{Act, Refused as ByPolicy};

impl Unit<'_> {
    /// Refuses what the policy refuses at any time, and what it refused when the unit was begun.
    pub(super) fn keep_to_policy(&mut self) {
        for index in 0..self.work.len() {
            let Some((number, act)) = self.work.get(index).and_then(|work| Some((work.number, work.act()?))) else {
                continue;
            };
            if let Some(rule) = self.memory.refused.get(&number) {
                let message = format!("the policy of this agent refused it when it was begun with, rule `{rule}`");
                let refused = Refused::new("policy", message);
                self.end(index, End::unsent(refused, &self.memory));
            } else if let Err(refused) = self.cx.policy.check_names(&act) {
                // A rehearsal wants nothing done.
                if !self.choices.dry_run {
                    metrics().policy_refusals.one(&[self.cx.system.as_str()]);
                }
                self.refuse_by_policy(index, &refused);
            }
        }
    }

    /// Asks the policy for what is about to begin, and journals what it answers: what it refuses must not be begun after a
    /// crash either, when the unit is gone on with, and what it lets in has been counted. Whoever an earlier attempt had
    /// nothing to do for, or did not come to, is asked for then.
    pub(super) async fn admit(&mut self) -> Result<(), Failure> {
        let is_new = |work: &Work<'_>| work.is_to_be_done() && !self.memory.was_admitted(work.number);
        let acts = self.work.iter().enumerate().filter(|(_, work)| is_new(work));
        let (rows, acts): (Vec<usize>, Vec<Act>) = acts.filter_map(|(index, work)| Some((index, work.act()?))).unzip();
        if acts.is_empty() {
            return Ok(());
        }
        let answers = self.cx.journal.admit(&acts).await?;
        let mut admitted = Vec::new();
        for (index, answer) in rows.into_iter().zip(answers) {
            match answer {
                Ok(()) => admitted.extend(self.work.get(index).map(|work| work.number)),
                Err(refused) => self.refuse_by_policy(index, &refused),
            }
        }
        self.memo(&self.refused, |refused| Note { refused, ..Note::default() }).await?;
        let admitted = memory::ranges(admitted.into_iter());
        self.memo(&admitted, |admitted| Note { admitted, ..Note::default() }).await
    }

    /// Nothing is sent of an entry. What another member may have sent of it, nobody can tell here.
    fn refuse_by_policy(&mut self, index: usize, by: &ByPolicy) {
        let refused = found_out(&by.failure());
        let end = if self.memory.may_have_acted { End::Unknown(refused) } else { End::Failed(refused) };
        self.refused.extend(self.work.get(index).map(|work| (work.number, by.rule.to_string())));
        self.end(index, end);
    }

    fn end(&mut self, index: usize, end: End) {
        if let Some(work) = self.work.get_mut(index) {
            work.end = Some(end);
        }
    }
}
