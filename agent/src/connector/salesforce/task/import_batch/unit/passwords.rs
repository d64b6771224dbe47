//! Passwords: one call each, several at once.

use std::sync::OnceLock;

use futures_util::StreamExt;
use futures_util::stream;
use postern_protocol::Failure;
use postern_protocol::outcome::Certainty;

use super::super::lookup::Wanted;
use super::super::memory::{Note, Password};
use super::work::{End, Work, said};
use super::{AT_ONCE, Unit};
use crate::connector::salesforce::api::{Call, MAX_CALLS, Undone, is_locked};
use crate::connector::salesforce::error;
use crate::connector::salesforce::task::new_password::is_moved;
use crate::connector::salesforce::task::{leave_second_of, password_is_changed_by, password_may_be_changed_by};

/// Calls in flight for passwords: well below what an org allows at once, and enough to hide the latency.
const PASSWORDS_AT_ONCE: usize = 8;

impl Unit<'_> {
    /// A password call needs to know when the password was changed last: a unit may have taken hours to come to it.
    async fn read_passwords(&mut self, rows: &[usize]) -> Result<(), Failure> {
        let ids: Vec<&str> = rows.iter().filter_map(|index| self.work.get(*index)?.id.as_deref()).collect();
        let users = self.org.look_up(&[], &ids, Wanted::PASSWORD, self.longest).await?;
        for index in rows {
            if let Some(work) = self.work.get_mut(*index)
                && let Some(found) = work.id.as_deref().and_then(|id| users.by_id(id))
            {
                work.password_changed.clone_from(&found.last_password_change_date);
            }
        }
        Ok(())
    }

    pub(super) async fn set_passwords(&mut self) -> Result<(), Failure> {
        let rows = self.rows(|work, plan| work.written && plan.password.is_some());
        for some in rows.chunks(AT_ONCE) {
            self.set_some_passwords(some).await?;
        }
        Ok(())
    }

    async fn set_some_passwords(&mut self, rows: &[usize]) -> Result<(), Failure> {
        self.read_passwords(rows).await?;
        let (unit, end) = (&*self, &OnceLock::new());
        let calls: Vec<_> = rows
            .iter()
            .filter_map(|index| Some((*index, unit.work.get(*index)?)))
            .map(|(index, work)| async move { (index, unit.set_password_before(end, work).await) })
            .collect();
        let results: Vec<_> = stream::iter(calls).buffer_unordered(PASSWORDS_AT_ONCE).collect().await;
        for (index, result) in results {
            let Some(work) = self.work.get_mut(index) else { continue };
            match result {
                Ok(certainty) => {
                    work.touched = true;
                    work.was_seen |= certainty == Certainty::Probable;
                }
                Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(failure),
                Err(Undone::Not(failure)) => work.fail_partly(said(&failure), "did not get its password"),
                Err(Undone::Unknown(failure)) => work.end = Some(End::Unknown(said(&failure))),
            }
        }
        Ok(())
    }

    /// Sets one password, unless the attempt came to its end at another: an org that takes none now is not asked for the rest.
    async fn set_password_before(&self, end: &OnceLock<Failure>, work: &Work<'_>) -> Result<Certainty, Undone> {
        if let Some(failure) = end.get() {
            return Err(Undone::Not(failure.clone()));
        }
        let result = self.set_password(work).await;
        // A locked row says nothing of others.
        if let Err(Undone::Not(failure)) = &result
            && error::is_retryable(failure)
            && !is_locked(failure)
        {
            end.get_or_init(|| failure.clone());
        }
        result
    }

    /// Sets one password, unless an earlier attempt has. Says how sure it is that it is in force.
    async fn set_password(&self, work: &Work<'_>) -> Result<Certainty, Undone> {
        let (Some(id), Some(password)) = (&work.id, work.plan.as_ref().and_then(|it| it.password.as_ref())) else {
            return Ok(Certainty::Certain);
        };
        let earlier = self.memory.passwords.get(&work.number);
        let before = earlier.map_or(&work.password_changed, |sent| &sent.before);
        if work.password_changed != *before {
            return Ok(Certainty::Probable);
        }
        let call = Call::set_password(id, password.expose());
        let mut calls = self.calls_so_far(earlier);
        let mut lost = None;
        leave_second_of(self.org, before.as_deref()).await;
        loop {
            let mut refused = None;
            if calls < MAX_CALLS {
                calls += 1;
                let now = Password { entry: work.number, before: before.clone(), calls, lease: self.cx.alone.lease };
                let note = Note { password: Some(now), ..self.intent() }.encode();
                match self.org.change(self.cx, self.step, &note, &call).await {
                    Ok(_) => return Ok(Certainty::Certain),
                    Err(Undone::Not(failure)) if is_repeated(&failure) && self.was_set_elsewhere(work) => {
                        return Ok(Certainty::Probable);
                    }
                    Err(Undone::Not(failure)) if error::is_retryable(&failure) => return Err(Undone::Not(failure)),
                    Err(Undone::Not(failure)) if self.may_be_set_elsewhere(work) => {
                        return Err(Undone::Unknown(failure));
                    }
                    Err(Undone::Not(failure)) if lost.is_none() && earlier.is_none() => {
                        return Err(Undone::Not(failure));
                    }
                    Err(Undone::Not(failure)) => refused = Some(failure),
                    Err(Undone::Unknown(failure)) => lost = Some(failure),
                }
            }
            match (is_moved(self.org, id, before.as_ref(), self.cx).await, refused) {
                (Ok(true), _) => return Ok(Certainty::Probable),
                (Ok(false), Some(refused)) => return Err(Undone::Not(refused)),
                (Ok(false), None) if calls < MAX_CALLS => (),
                (Ok(false), None) => return Err(Undone::Unknown(lost.unwrap_or_else(error::no_answer))),
                // Another attempt finds the intent, and looks.
                (Err(failure), _) if error::is_retryable(&failure) => return Err(Undone::Not(failure)),
                (Err(failure), _) => return Err(Undone::Unknown(failure)),
            }
        }
    }

    /// How many calls there may have been for a password whose last one here was `earlier`. One more for other members that
    /// may have had the task since, so that one is left for whoever has it now.
    fn calls_so_far(&self, earlier: Option<&Password>) -> u32 {
        let was_kept = earlier.is_some_and(|sent| self.cx.alone.was_kept_since(sent.lease));
        let elsewhere = if self.memory.elsewhere && !was_kept { MAX_CALLS - 1 } else { 0 };
        elsewhere + earlier.map_or(0, |sent| sent.calls)
    }

    /// Whether another member, whose journal is not here, has set the password of this entry.
    fn was_set_elsewhere(&self, work: &Work<'_>) -> bool {
        self.cx.reconcile && password_is_changed_by(self.org, work.password_changed.as_deref(), self.cx)
    }

    /// The same, where another task may have changed it as well.
    fn may_be_set_elsewhere(&self, work: &Work<'_>) -> bool {
        self.cx.reconcile && password_may_be_changed_by(self.cx.task, work.password_changed.as_deref())
    }
}

/// Whether a password was refused, perhaps because the user has it already: the code does not tell.
fn is_repeated(failure: &Failure) -> bool {
    failure.code.as_str() == "INVALID_NEW_PASSWORD"
}
