//! Calls of the REST API: reads that may be repeated, and changes that may not.
//!
//! Every reply to a change is one of three: done, not done, unknown. Only what is known not to have been done is
//! repeated, and only for two reasons: a session that had ended (once), and a locked row (a few times).

mod call;
mod query;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use postern_fail_point::Point;
use postern_protocol::{Failure, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::governor::{self, Batches, Place};
use super::sign_in::Session;
use super::{Salesforce, error};
use crate::connector::{AttemptCx, stopped};
use crate::http::{BODY_LIMIT, JSON_LIMIT, Lost, Opened, Reply, Sent};
use crate::metrics::metrics;
use crate::{clock, random, traces};
use call::{Body, CSV_UTF8, JSON};
use reply::missed;

pub(super) use call::Call;
pub(super) use query::{Longest, Page, Room, found, is_locator};
pub(super) use reply::{Answer, Miss, classify, date, error_code, job_id};

/// Rows are locked for as long as somebody's transaction runs: seconds, rarely more.
pub(super) const LOCK_TRIES: u32 = 5;
const LOCK_WAIT: Duration = Duration::from_millis(200);
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a download may take: Salesforce itself ends a call after that. It changes nothing, so no lease has to outlive
/// it.
const DOWNLOAD: Duration = Duration::from_secs(10 * 60);
/// Between two looks for an effect, whatever is configured.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);
/// How often a change is made at most that had no answer and no effect: once, and once more. It brings about a state, so
/// that a second time does no harm.
pub(super) const MAX_CALLS: u32 = 2;

/// An answer that is read piece by piece. It keeps its place among the calls until it is dropped.
pub(super) struct Download {
    opened: Opened,
    place: Place,
    told: traces::Call,
}

impl Download {
    /// The head of the answer.
    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.opened.headers
    }

    /// The next piece of the body; `None` after the last.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = self.opened.piece().await.inspect_err(|lost| self.told.lost(lost));
        piece.map_err(|lost| error::lost(&lost))
    }
}

/// A change that was not proved done.
#[derive(Debug)]
pub(super) enum Undone {
    /// It had no effect.
    Not(Failure),
    /// It may have had.
    Unknown(Failure),
}

/// For what a read was repeated already.
#[derive(Debug, Default)]
struct Repeats {
    renewed: bool,
    lost: bool,
}

impl Salesforce {
    /// Reads. A connection that broke is tried once more: the pool may have handed out one that had just been closed.
    pub(super) async fn read(&self, call: &Call) -> Result<Answer, Failure> {
        self.read_as(call, |reply| classify(&reply, call.done)).await
    }

    /// Reads what is not JSON; of a list without rows it may be said that there is no content. A refusal is XML then.
    pub(super) async fn read_raw(&self, call: &Call) -> Result<Reply, Failure> {
        let is_told = |status| status == call.done || status == StatusCode::NO_CONTENT;
        let told = |reply: Reply| if is_told(reply.status) { Ok(reply) } else { Err(missed(&reply, call.done)) };
        self.read_as(call, told).await
    }

    /// Reads what is too long to be held: its body is read piece by piece. A refusal is XML then.
    pub(super) async fn download(&self, call: &Call) -> Result<Download, Failure> {
        let longest = self.settings.http.timeout.max(DOWNLOAD);
        let mut repeats = Repeats::default();
        self.sessions.current().await?;
        loop {
            let place = self.governor.place_for_download().await;
            let session = self.sessions.current().await?;
            let answer = match self.open(place, &session, call, longest).await {
                Ok(download) if download.opened.status == call.done => Ok(download),
                Ok(download) => self.finish(download, JSON_LIMIT, |reply| Err(missed(&reply, call.done))).await,
                Err(miss) => Err(miss),
            };
            match answer {
                Ok(download) => return Ok(download),
                Err(miss) => self.once_more(&session, &mut repeats, miss).await?,
            }
        }
    }

    async fn read_as<T>(&self, call: &Call, told: impl Fn(Reply) -> Result<T, Miss>) -> Result<T, Failure> {
        let mut repeats = Repeats::default();
        self.sessions.current().await?;
        loop {
            let place = self.governor.place().await;
            let session = self.sessions.current().await?;
            match self.fetch(place, &session, call, &told).await {
                Ok(answer) => return Ok(answer),
                Err(miss) => self.once_more(&session, &mut repeats, miss).await?,
            }
        }
    }

    /// Lets a read be repeated, with another session if need be, unless it ends here.
    async fn once_more(&self, session: &Arc<Session>, repeats: &mut Repeats, miss: Miss) -> Result<(), Failure> {
        match miss {
            Miss::Expired(failure) if repeats.renewed => Err(failure),
            Miss::Expired(_) => {
                repeats.renewed = true;
                traces::happened("retry", "the session had ended");
                self.sessions.renew(session).await.map(drop)
            }
            Miss::Lost(lost) if repeats.lost || lost.sent == Sent::No => {
                self.elsewhere(session, repeats, error::lost(&lost)).await
            }
            Miss::Lost(_) => {
                repeats.lost = true;
                traces::happened("retry", "there was no answer");
                Ok(())
            }
            Miss::Not(failure) | Miss::Unknown(failure) => self.elsewhere(session, repeats, failure).await,
        }
    }

    /// Makes another session, if the failure says that the org is no more where this one leads to.
    async fn elsewhere(&self, session: &Arc<Session>, repeats: &mut Repeats, failure: Failure) -> Result<(), Failure> {
        // The org's own host is where another one would lead to as well.
        let may_have_moved = session.instance.host() != self.settings.login_url.host();
        if !may_have_moved || !error::says_moved(&failure) {
            return Err(failure);
        }
        if repeats.renewed {
            self.sessions.handle_in_vain();
            return Err(failure);
        }
        if !self.sessions.may_lead_elsewhere(session) {
            return Err(failure);
        }
        repeats.renewed = true;
        traces::happened("retry", "the org may have moved");
        self.sessions.renew(session).await.map(drop).or(Err(failure))
    }

    /// Makes a change, after an intent for it was made durable. A call that is sent again gets its own intent: the
    /// lease may have ended while the sign-in or the lock was waited for.
    pub(super) async fn change(&self, cx: &AttemptCx, step: u32, note: &[u8], call: &Call) -> Result<Answer, Undone> {
        let (mut renewed, mut locked) = (false, 0);
        self.sessions.current().await.map_err(Undone::Not)?;
        loop {
            // Before the intent, whose lease must outlive the call (`reach`): it would run out during a wait for a
            // place, or in the lane, which has no bound. The wait for a lease has one, and keeps a place from others only
            // that long.
            let place = tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Err(Undone::Not(stopped())),
                place = self.place_for(call) => place,
            };
            let session = self.sessions.current().await.map_err(Undone::Not)?;
            cx.intend(step, note.to_vec(), call.effect.clone(), self.reach()).await.map_err(Undone::Not)?;
            let answer = self.fetch(place, &session, call, |reply| classify(&reply, call.done)).await;
            Point::CallMade.reach();
            let (failure, expired) = match answer {
                Ok(answer) => return Ok(answer),
                Err(Miss::Unknown(failure)) => return Err(Undone::Unknown(failure)),
                Err(Miss::Lost(lost)) if lost.sent == Sent::Perhaps => return Err(Undone::Unknown(error::lost(&lost))),
                Err(Miss::Lost(lost)) => (error::lost(&lost), false),
                Err(Miss::Not(failure)) => (failure, false),
                Err(Miss::Expired(failure)) => (failure, true),
            };
            cx.take_back(step, note.to_vec()).await.map_err(Undone::Not)?;
            if expired && !renewed {
                traces::happened("retry", "the session had ended");
                self.sessions.renew(&session).await.map_err(Undone::Not)?;
                renewed = true;
            } else if is_locked(&failure) && locked + 1 < LOCK_TRIES {
                traces::happened("retry", "the row was locked");
                tokio::time::sleep(lock_wait(locked)).await;
                locked += 1;
            } else {
                return Err(Undone::Not(failure));
            }
        }
    }

    async fn place_for(&self, change: &Call) -> Place {
        if change.takes_role_lane { self.governor.place_in_role_lane().await } else { self.governor.place().await }
    }

    /// Lets a batch go on, unless the rest of the org's calls is for others.
    pub(super) async fn may_go_on(&self) -> Result<(), Failure> {
        if self.governor.batches() == Batches::MayAsk {
            match self.read(&Call::get("limits")).await {
                Err(failure) if error::is_retryable(&failure) => return Err(failure),
                // Not every service account may ask.
                Ok(_) | Err(_) => self.governor.was_asked(),
            }
        }
        match self.governor.batches() {
            Batches::Wait(usage) => Err(governor::reserved(usage, self.settings.api_budget_percent)),
            Batches::MayGoOn | Batches::MayAsk => Ok(()),
        }
    }

    /// Waits until most calls without an answer that take effect at all have done so.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(self.settings.settle).await;
    }

    /// Waits until none of so many calls without an answer can take effect any more. What they bring about is there, but
    /// the account must not go to another task before: it could be undone behind that one's back.
    pub(super) async fn outlast(&self, unanswered: usize, cx: &AttemptCx) -> Result<(), Failure> {
        if unanswered == 0 { Ok(()) } else { self.outlast_until(clock::now(), cx.hurry()).await }
    }

    /// The same for calls of which the last was made before that moment, by an attempt that leaves the rest to another when it
    /// is told to stop.
    pub(super) async fn outlast_since(&self, last: Timestamp, cx: &AttemptCx) -> Result<(), Failure> {
        self.outlast_until(last, &cx.stop).await
    }

    async fn outlast_until(&self, last: Timestamp, stop: &CancellationToken) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(stopped()),
            () = clock::sleep_until(Some(last + self.settings.settle_once)) => Ok(()),
        }
    }

    /// Looks, less and less often, until the effect of a call without an answer is there, or is not to come any more. An
    /// attempt that is told to stop looks once more, and leaves the rest to another.
    pub(super) async fn watch<F: Future<Output = Result<bool, Failure>>>(
        &self,
        cx: &AttemptCx,
        is_there: impl Fn() -> F,
    ) -> Result<bool, Failure> {
        self.watch_until(&cx.stop, is_there).await
    }

    /// The same for what earlier attempts sent; one that is there to find out waits to the end, unless the agent stops.
    pub(super) async fn watch_earlier<F: Future<Output = Result<bool, Failure>>>(
        &self,
        cx: &AttemptCx,
        is_there: impl Fn() -> F,
    ) -> Result<bool, Failure> {
        self.watch_until(cx.hurry(), is_there).await
    }

    async fn watch_until<F: Future<Output = Result<bool, Failure>>>(
        &self,
        stop: &CancellationToken,
        is_there: impl Fn() -> F,
    ) -> Result<bool, Failure> {
        let (mut left, mut pause) = (self.settings.settle_once, self.settings.settle);
        loop {
            let is_stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(pause) => false,
            };
            if is_there().await? {
                return Ok(true);
            }
            left = left.saturating_sub(pause);
            if is_stopped {
                return Err(stopped());
            }
            if left.is_zero() {
                return Ok(false);
            }
            pause = (pause * 2).clamp(SHORTEST_LOOK, left.max(SHORTEST_LOOK));
        }
    }

    /// How long a change may take; a lease must outlive it.
    pub(super) fn reach(&self) -> Duration {
        self.settings.http.timeout + Duration::from_secs(1)
    }

    /// Makes a call in its place, which is free again afterwards.
    async fn fetch<T>(
        &self,
        place: Place,
        session: &Session,
        call: &Call,
        told: impl FnOnce(Reply) -> Result<T, Miss>,
    ) -> Result<T, Miss> {
        let limit = if call.accept == JSON { JSON_LIMIT } else { BODY_LIMIT };
        let longest = self.settings.http.timeout;
        self.finish(self.open(place, session, call, longest).await?, limit, told).await
    }

    /// What an answer of at most so many bytes tells. A wait that it asks for goes with its failure.
    async fn finish<T>(
        &self,
        answer: Download,
        limit: usize,
        told: impl FnOnce(Reply) -> Result<T, Miss>,
    ) -> Result<T, Miss> {
        // The place is kept until the answer is read: there are never more trees in the making than places.
        let Download { opened, place: _place, told: mut ended } = answer;
        let reply = opened.whole(limit).await.inspect_err(|lost| ended.lost(lost)).map_err(Miss::Lost)?;
        drop(ended);
        let wait = governor::wait(reply.status, &reply.headers);
        told(reply).inspect_err(|miss| match miss {
            Miss::Expired(failure) | Miss::Not(failure) | Miss::Unknown(failure) => self.governor.asked(failure, wait),
            Miss::Lost(_) => (),
        })
    }

    async fn open(&self, place: Place, session: &Session, call: &Call, longest: Duration) -> Result<Download, Miss> {
        let version = call.version.as_deref().unwrap_or(&self.settings.api_version);
        let base = format!("/services/data/v{version}/{}", call.path);
        let url = session.instance.join(&base).map_err(|_| Miss::Not(error::no_address(&base)))?;
        let request =
            self.http.request(call.method.clone(), url).bearer_auth(session.token.expose()).header(ACCEPT, call.accept);
        let request = request.timeout(longest);
        let request = match &call.body {
            Body::Nothing => request,
            Body::Json(body) => {
                let body = Bytes::from(body.to_string());
                self.http.with_body(request.header(CONTENT_TYPE, JSON), body).await
            }
            // Salesforce says of REST that it unpacks requests, and nothing of the rows of a job.
            Body::Csv(rows) => request.header(CONTENT_TYPE, CSV_UTF8).body(rows.clone()),
        };
        let (method, path) = (&call.method, call.path.split('?').next().unwrap_or_default());
        let family = call.family();
        let mut told = traces::call(method, family);
        let asked = clock::now();
        let opened = self.http.open(request).await;
        metrics().calls.one(&[self.system.as_str(), family, answered(&opened)]);
        let opened = opened.map_err(|lost| {
            told.lost(&lost);
            tracing::debug!(%method, path, "a call had no answer");
            Miss::Lost(lost)
        })?;
        told.answered(opened.status);
        tracing::debug!(%method, path, status = opened.status.as_u16(), "a call was answered");
        self.governor.note(&opened.headers);
        if opened.status.is_success() {
            self.sessions.handle_honoured();
            // Whatever else it is may be that of what stands between, which has a clock of its own.
            if let Some(at) = date(&opened.headers) {
                self.clock().hear(at, asked, clock::now());
            }
        }
        Ok(Download { opened, place, told })
    }
}

/// What came of a call, of a few words.
fn answered(opened: &Result<Opened, Lost>) -> &'static str {
    match opened {
        Ok(opened) if opened.status.is_success() => "ok",
        Ok(opened) if opened.status.is_client_error() => "refused",
        Ok(_) => "failed",
        Err(Lost { sent: Sent::No, .. }) => "unsent",
        Err(_) => "lost",
    }
}

pub(super) fn is_locked(failure: &Failure) -> bool {
    failure.code.as_str() == "UNABLE_TO_LOCK_ROW"
}

/// Half fixed, half random, so that those who met at a row do not meet again.
pub(super) fn lock_wait(tries: u32) -> Duration {
    let window = LOCK_WAIT.saturating_mul(1 << tries.min(10)).min(LOCK_WAIT_MAX);
    window / 2 + (window / 2).mul_f64(f64::from(random::number()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_a_lock_grow_and_stay_within_bounds() {
        for tries in 0..40 {
            let wait = lock_wait(tries);
            assert!((LOCK_WAIT / 2..=LOCK_WAIT_MAX).contains(&wait), "{wait:?}");
        }
    }
}
