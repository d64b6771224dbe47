//! How hard an org may be asked: how many calls at once, which of them one by one, how many in a day, and when to leave it
//! alone.
//!
//! The calls of a day belong to everybody who works with the org. Above a share of them batches wait, so that people,
//! other programs and single urgent tasks find some left. [`Budget`] decides, without I/O; every reply is noted here, and
//! how long its failure has to wait if it said so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_protocol::{Failure, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{error, time};
use crate::clock;
use crate::connector::CallsLeft;

/// The share of the calls at which the log warns, if batches do not wait before: early enough to look who uses them up.
const WARN_PERCENT: u8 = 80;
/// How often it warns at most: an org may say that many are used, and few, by turns.
const WARN_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long what an answer said of the calls used is good for. Others use them up, too, and old ones fall out.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// How long it is told to whoever watches: until then an org that is seldom asked has a figure, and none from yesterday.
const TOLD: Duration = Duration::from_secs(60 * 60);
/// When to look again after the calls were used up. They are counted over 24 hours: in a quarter of one, about a
/// hundredth of them comes back.
const USED_UP: Duration = Duration::from_secs(15 * 60);
/// How long those that waited find out by themselves whether there are calls again, before others come.
const FIRST_LOOK: Duration = Duration::from_secs(30);
/// When to look again after too many calls ran at once: those that count run for longer than this.
const TOO_MANY_AT_ONCE: Duration = Duration::from_secs(20);
/// When to look again whether another run has ended, which may take minutes: so long a wait is not counted among a task's tries.
const OTHER_RUN: Duration = Duration::from_secs(60);
/// When to look again whether an org takes writes again: maintenance lasts from minutes to hours, each look may cost a bulk job,
/// and deadlines may be short.
const READ_ONLY: Duration = Duration::from_secs(2 * 60);
/// The longest wait that is granted: Salesforce blocks sign-ins for an hour, and nothing else it documents for longer.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Waits that are remembered: many more than there are codes that busy orgs and gateways give.
const MOST_WAITS: usize = 32;

const LIMIT_INFO: HeaderName = HeaderName::from_static("sforce-limit-info");

/// How many of the org's API calls are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) used: u64,
    pub(super) of: u64,
}

impl Usage {
    /// Whether this share of them is.
    pub(super) fn is_at_least(self, percent: u8) -> bool {
        self.used.saturating_mul(100) >= self.of.saturating_mul(percent.into())
    }
}

/// What one org is asked for by all tasks together.
pub(super) struct Governor {
    at_once: usize,
    places: Arc<Semaphore>,
    /// Those of them that downloads may have.
    downloads: Arc<Semaphore>,
    /// The place among writes to roles and groups.
    role_lane: Arc<Semaphore>,
    /// The same among bulk jobs of such writes.
    role_jobs: Arc<Semaphore>,
    budget: Mutex<Budget>,
    waits: Mutex<Waits>,
}

/// A place among the calls that run at once; free again when it is dropped. Whoever holds one must not ask for another.
pub(super) struct Place {
    #[expect(dead_code, reason = "held, not looked at")]
    place: Option<OwnedSemaphorePermit>,
    /// Of the role lane, or of the downloads.
    #[expect(dead_code, reason = "held, not looked at")]
    among: Option<OwnedSemaphorePermit>,
}

/// Said of a bulk job that it is the only one of its sort; until it is dropped.
pub(super) struct OnlyJob(#[expect(dead_code, reason = "held, not looked at")] Option<OwnedSemaphorePermit>);

/// Whether a batch may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batches {
    /// There are calls enough.
    MayGoOn,
    /// There were not, or nothing is known; it has to be asked whether there are now.
    MayAsk,
    /// The rest is for others.
    Wait(Usage),
}

impl Governor {
    /// Lets `at_once` calls run at once, and batches wait from `batch_percent` of the day's calls on.
    pub(super) fn new(at_once: usize, batch_percent: u8) -> Self {
        Self {
            at_once,
            places: Arc::new(Semaphore::new(at_once)),
            downloads: Arc::new(Semaphore::new(at_once.saturating_sub(at_once.div_ceil(4)).max(1))),
            role_lane: Arc::new(Semaphore::new(1)),
            role_jobs: Arc::new(Semaphore::new(1)),
            budget: Mutex::new(Budget::new(batch_percent)),
            waits: Mutex::default(),
        }
    }

    /// Waits for a place. First come, first served.
    pub(super) async fn place(&self) -> Place {
        Place { place: permit(&self.places).await, among: None }
    }

    /// The same for a download, which may keep it for minutes: a quarter of the places, if there is more than one, is left to
    /// calls that somebody may be waiting for.
    pub(super) async fn place_for_download(&self) -> Place {
        let among = permit(&self.downloads).await;
        Place { among, ..self.place().await }
    }

    /// The same for a write to roles or groups, of which only one at a time has a place.
    pub(super) async fn place_in_role_lane(&self) -> Place {
        // In this order, or those who wait for the lane would keep places from others.
        let among = permit(&self.role_lane).await;
        Place { among, ..self.place().await }
    }

    /// Waits until no other bulk job writes to roles. Single calls do not wait for a job, which may take hours: who has to
    /// be shut out at once cannot.
    pub(super) async fn only_role_job(&self) -> OnlyJob {
        OnlyJob(permit(&self.role_jobs).await)
    }

    /// Takes note of what a reply says of calls.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let now = clock::now();
        let mut budget = self.budget();
        if let Some(usage) = usage(headers)
            && budget.saw(usage, now)
        {
            let Usage { used, of } = usage;
            tracing::warn!(used, of, "the org has used many of the API calls it may make in 24 hours");
        }
    }

    /// Takes note of how long a failed reply asked to wait, if it did. The newest reply of a code counts: what others
    /// fail of does not wait for it.
    pub(super) fn asked(&self, failure: &Failure, wait: Option<Duration>) {
        let now = clock::now();
        // An import keeps words back that hold a value of its own by chance, so nobody may go by them later.
        let wait = wait.or_else(|| is_too_many_at_once(failure).then_some(TOO_MANY_AT_ONCE));
        self.waits.lock().unwrap_or_else(PoisonError::into_inner).asked(failure.code.as_str(), wait, now);
        if is_used_up(failure) {
            self.budget().refused(now + wait.unwrap_or(USED_UP).min(LONGEST) + FIRST_LOOK);
        }
    }

    /// How many more calls the org takes.
    pub(super) fn calls_left(&self) -> Option<CallsLeft> {
        self.budget().left(clock::now())
    }

    /// How many calls run now.
    pub(super) fn running(&self) -> usize {
        self.at_once.saturating_sub(self.places.available_permits())
    }

    /// What the newest reply said of the calls used, while it may still be so.
    pub(super) fn told(&self) -> Option<Usage> {
        self.budget().told(clock::now())
    }

    /// What the newest reply said of the calls used.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.budget().usage.map(|(usage, _)| usage)
    }

    /// The calls used, if they are so many that an administrator should know of it.
    pub(super) fn much_used(&self) -> Option<Usage> {
        let budget = self.budget();
        budget.usage.map(|(usage, _)| usage).filter(|usage| usage.is_at_least(budget.warn_percent()))
    }

    /// Whether a batch may go on.
    pub(super) fn batches(&self) -> Batches {
        self.budget().batches(clock::now())
    }

    /// Lets a batch begin that needs about so many calls and is worth nothing unless it ends. One that was cut off waits until
    /// there are calls for all of it: else it uses up, again and again, what it waits for.
    pub(super) fn room_for(&self, calls: u64, is_again: bool) -> Result<(), Failure> {
        self.budget().room_for(calls, is_again)
    }

    /// It was asked how many calls are used, and [`Governor::note`] took note of what was told.
    pub(super) fn was_asked(&self) {
        self.budget().asked = true;
    }

    /// How long to leave the org alone after this failure; zero if nobody asked for it.
    pub(super) fn patience(&self, failure: &Failure) -> Duration {
        let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = waits.left(failure.code.as_str(), clock::now());
        match failure.code.as_str() {
            // The answer may have said better.
            _ if asked.is_zero() && is_too_many_at_once(failure) => TOO_MANY_AT_ONCE,
            "REQUEST_LIMIT_EXCEEDED" if asked.is_zero() => USED_UP,
            "login_rate_exceeded" | "LOGIN_RATE_EXCEEDED" => LONGEST,
            "api_budget_reserved" => asked.max(USED_UP),
            "cursor_busy" | "collection_busy" => OTHER_RUN,
            code if error::says_read_only(code) => asked.max(READ_ONLY),
            _ => asked,
        }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn permit(of: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // Nobody closes them.
    Arc::clone(of).acquire_owned().await.ok()
}

/// Whether the org takes no more calls today, as opposed to too many at once.
fn is_used_up(failure: &Failure) -> bool {
    failure.code.as_str() == "REQUEST_LIMIT_EXCEEDED" && failure.summary.contains("TotalRequests")
}

fn is_too_many_at_once(failure: &Failure) -> bool {
    failure.code.as_str() == "REQUEST_LIMIT_EXCEEDED" && failure.summary.contains("Concurrent")
}

/// The failure of a batch that leaves the rest of the calls to others.
pub(super) fn reserved(Usage { used, of }: Usage, batch_percent: u8) -> Failure {
    let summary = format!(
        "The org has used {used} of the {of} API calls it may make in 24 hours; from {batch_percent} % on they are left \
         to others, and batches wait"
    );
    error::own("api_budget_reserved", summary)
}

/// What is known of the calls of an org.
#[derive(Debug)]
struct Budget {
    batch_percent: u8,
    usage: Option<(Usage, Timestamp)>,
    /// Until when the org is left alone because it takes no more calls.
    refused: Option<Timestamp>,
    warned: bool,
    /// When the next warning may come.
    quiet_until: Option<Timestamp>,
    /// Whether it was asked how many calls are used. An answer that does not tell must not have it asked before every piece of a
    /// batch.
    asked: bool,
}

impl Budget {
    const fn new(batch_percent: u8) -> Self {
        Self { batch_percent, usage: None, refused: None, warned: false, quiet_until: None, asked: false }
    }

    /// Nothing waits before the log has warned.
    fn warn_percent(&self) -> u8 {
        WARN_PERCENT.min(self.batch_percent)
    }

    /// A reply said how many calls are used. Whether that is worth a warning.
    fn saw(&mut self, usage: Usage, now: Timestamp) -> bool {
        self.usage = Some((usage, now));
        if usage.used < usage.of {
            self.refused = None;
        }
        let warn_percent = self.warn_percent();
        // Answers that overtake each other must not repeat the warning: it is given anew after an eighth less.
        let calm_percent = warn_percent - warn_percent / 8;
        let is_quiet = self.quiet_until.is_some_and(|until| now < until);
        let warns = usage.is_at_least(warn_percent) && !self.warned && !is_quiet;
        if warns {
            self.quiet_until = Some(now + WARN_EVERY);
        }
        self.warned = (self.warned || warns) && usage.is_at_least(calm_percent);
        warns
    }

    fn refused(&mut self, until: Timestamp) {
        self.refused = Some(until);
    }

    fn left(&self, now: Timestamp) -> Option<CallsLeft> {
        if let Some(until) = self.refused.filter(|until| now < *until) {
            return Some(CallsLeft { calls: 0, until });
        }
        let (Usage { used, of }, at) = self.usage?;
        // Beyond the number it is left to Salesforce, which lets some orgs go on.
        (used < of && now.since(at) < FRESH).then(|| CallsLeft { calls: of - used, until: at + FRESH })
    }

    fn told(&self, now: Timestamp) -> Option<Usage> {
        self.usage.filter(|(_, at)| now.since(*at) < TOLD).map(|(usage, _)| usage)
    }

    fn batches(&self, now: Timestamp) -> Batches {
        match self.usage {
            // At 100 it is left to Salesforce, which lets some orgs go on.
            Some((usage, _)) if self.batch_percent >= 100 || !usage.is_at_least(self.batch_percent) => Batches::MayGoOn,
            Some((usage, at)) if now.since(at) < FRESH => Batches::Wait(usage),
            Some(_) => Batches::MayAsk,
            None if self.asked => Batches::MayGoOn,
            None => Batches::MayAsk,
        }
    }

    fn room_for(&self, calls: u64, is_again: bool) -> Result<(), Failure> {
        let Some((Usage { used, of }, _)) = self.usage.filter(|_| self.batch_percent < 100) else { return Ok(()) };
        let percent = self.batch_percent;
        let most = of.saturating_mul(percent.into()) / 100;
        if calls > most {
            let summary = format!(
                "This takes about {calls} API calls; of the {of} that the org may make in 24 hours, batches take \
                 {percent} %, which are {most}"
            );
            return Err(error::own("api_budget_exceeded", summary));
        }
        // Yesterday's calls come back while today's are made, so that the first time they may suffice all the same.
        if is_again && used.saturating_add(calls) > most {
            let summary = format!(
                "This takes about {calls} API calls, and the org has used {used} of the {of} it may make in 24 hours; \
                 from {percent} % on they are left to others, so it waits until there are calls for all of it"
            );
            return Err(error::own("api_budget_reserved", summary));
        }
        Ok(())
    }
}

/// Until when failures wait because their replies asked for it, by code.
#[derive(Debug, Default)]
struct Waits {
    until: Vec<(String, Timestamp)>,
}

impl Waits {
    fn asked(&mut self, code: &str, wait: Option<Duration>, now: Timestamp) {
        self.until.retain(|(of, until)| of != code && *until > now);
        if let Some(wait) = wait {
            self.until.push((code.to_owned(), now + wait.min(LONGEST)));
        }
        if self.until.len() > MOST_WAITS {
            self.until.remove(0);
        }
    }

    fn left(&self, code: &str, now: Timestamp) -> Duration {
        let until = self.until.iter().find(|(of, _)| of == code);
        until.map(|(_, until)| until.since(now)).unwrap_or_default()
    }
}

/// How long a reply asks to wait.
pub(super) fn wait(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let is_busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    is_busy.then(|| retry_after(headers)).flatten()
}

/// `Sforce-Limit-Info: api-usage=18/15000; …`.
pub(super) fn usage(headers: &HeaderMap) -> Option<Usage> {
    let value = headers.get(LIMIT_INFO)?.to_str().ok()?;
    let (used, of) = value.split(';').find_map(|part| part.trim().strip_prefix("api-usage="))?.split_once('/')?;
    Some(Usage { used: used.trim().parse().ok()?, of: of.trim().parse().ok().filter(|of| *of > 0)? })
}

/// `Retry-After`: seconds, or a moment on the clock that the reply's `Date` tells.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let told = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = told.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = time::parse_http(told)?.as_millisecond();
    let now = text(DATE).and_then(time::parse_http).map(jiff::Timestamp::as_millisecond);
    let now = now.or_else(|| i64::try_from(clock::unix_millis().0).ok())?;
    u64::try_from(until.saturating_sub(now)).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn used(used: u64) -> Usage {
        Usage { used, of: 1_000 }
    }

    /// Begin what cannot end, and it begins anew every 15 minutes and uses up what it waits for.
    #[test]
    fn a_batch_is_begun_again_only_where_there_are_calls_for_all_of_it() {
        let mut budget = Budget::new(75);
        let verdict =
            |budget: &Budget, calls| budget.room_for(calls, true).map_err(|failure| failure.code.as_str().to_owned());
        assert_eq!(verdict(&budget, u64::MAX), Ok(()), "nothing is known yet");
        budget.saw(used(700), at(0));
        assert_eq!(verdict(&budget, 50), Ok(()));
        assert_eq!(verdict(&budget, 51), Err("api_budget_reserved".to_owned()));
        assert_eq!(verdict(&budget, 750), Err("api_budget_reserved".to_owned()));
        assert_eq!(verdict(&budget, 751), Err("api_budget_exceeded".to_owned()), "on no day");
        assert!(budget.room_for(750, false).is_ok() && budget.room_for(751, false).is_err(), "the first time");
        let mut unlimited = Budget::new(100);
        unlimited.saw(used(1_000), at(0));
        assert_eq!(verdict(&unlimited, u64::MAX), Ok(()));
    }

    #[test]
    fn batches_wait_above_their_share_and_ask_again_when_what_is_known_is_old() {
        let mut budget = Budget::new(90);
        assert_eq!(budget.batches(at(0)), Batches::MayAsk, "nothing is known yet");
        budget.asked = true;
        assert_eq!(budget.batches(at(0)), Batches::MayGoOn, "it was not told");
        budget.saw(used(899), at(0));
        assert_eq!(budget.batches(at(0)), Batches::MayGoOn);
        budget.saw(used(900), at(0));
        assert_eq!(budget.batches(at(299)), Batches::Wait(used(900)));
        assert_eq!(budget.batches(at(300)), Batches::MayAsk);
        budget.saw(used(880), at(300));
        assert_eq!(budget.batches(at(300)), Batches::MayGoOn);
    }

    #[test]
    fn at_a_hundred_percent_it_is_left_to_salesforce() {
        let mut budget = Budget::new(100);
        budget.saw(used(1_000), at(0));
        assert_eq!(budget.batches(at(0)), Batches::MayGoOn);
    }

    /// Tell it for as long as nobody calls, and an idle agent has an alert ring all night for calls that came back long ago.
    #[test]
    fn what_is_used_is_told_for_an_hour() {
        let mut budget = Budget::new(75);
        budget.saw(used(990), at(0));
        assert_eq!((budget.told(at(3_599)), budget.told(at(3_600))), (Some(used(990)), None));
    }

    #[test]
    fn what_is_left_is_known_for_a_while_and_after_a_refusal_nothing_is() {
        let mut budget = Budget::new(75);
        let left = |budget: &Budget, secs| budget.left(at(secs)).map(|left| (left.calls, left.until));
        assert_eq!(left(&budget, 0), None, "nothing is known yet");
        budget.saw(used(990), at(0));
        assert_eq!((left(&budget, 299), left(&budget, 300)), (Some((10, at(300))), None));
        budget.saw(used(1_000), at(400));
        assert_eq!(left(&budget, 400), None, "nobody refused");
        budget.refused(at(1_300));
        budget.saw(used(1_000), at(400));
        assert_eq!((left(&budget, 1_299), left(&budget, 1_300)), (Some((0, at(1_300))), None));
        budget.saw(used(20), at(500));
        assert_eq!(left(&budget, 500), Some((980, at(800))), "another day");
    }

    #[test]
    fn the_warning_comes_once_at_each_crossing() {
        let mut budget = Budget::new(90);
        let answers = [790, 800, 799, 801, 950, 690, 800].into_iter().zip([0, 0, 0, 0, 0, 3_000, 3_600]);
        let warns: Vec<bool> = answers.map(|(count, secs)| budget.saw(used(count), at(secs))).collect();
        assert_eq!(warns, [false, true, false, false, false, false, true]);
    }

    /// Warn at each crossing, and an org that says many and few by turns fills the log.
    #[test]
    fn the_warning_comes_once_an_hour_at_most() {
        let mut budget = Budget::new(90);
        let answers = (0..2_000).map(|number| (if number % 2 == 0 { 990 } else { 0 }, number * 5));
        let warned: Vec<u64> =
            answers.filter(|(count, secs)| budget.saw(used(*count), at(*secs))).map(|it| it.1).collect();
        assert_eq!(warned, [0, 3_600, 7_200]);
    }

    #[test]
    fn no_batch_waits_before_the_warning() {
        let mut budget = Budget::new(75);
        assert!(!budget.saw(used(749), at(0)));
        assert!(budget.saw(used(750), at(0)));
        assert_eq!(budget.batches(at(0)), Batches::Wait(used(750)));
        assert!(!budget.saw(used(800), at(0)), "once");
    }

    #[test]
    fn only_what_a_wait_was_asked_for_with_waits_and_none_longer_than_an_hour() {
        let mut waits = Waits::default();
        waits.asked("busy", Some(Duration::from_secs(30)), at(0));
        waits.asked("maintenance_page", Some(Duration::MAX), at(0));
        assert_eq!(waits.left("busy", at(10)).as_secs(), 20);
        assert_eq!(waits.left("busy", at(40)), Duration::ZERO);
        assert_eq!(waits.left("maintenance_page", at(0)), LONGEST);
        assert_eq!(waits.left("no_answer", at(0)), Duration::ZERO);
        waits.asked("maintenance_page", None, at(1));
        assert_eq!(waits.left("maintenance_page", at(1)), Duration::ZERO, "the newest reply did not ask");
    }

    #[test]
    fn no_more_waits_are_remembered_than_there_are_places_for() {
        let mut waits = Waits::default();
        for number in 0..100 {
            waits.asked(&format!("CODE_{number}"), Some(LONGEST), at(0));
        }
        assert_eq!((waits.until.len(), waits.left("CODE_99", at(0))), (MOST_WAITS, LONGEST));
    }

    #[test]
    fn the_usage_of_the_budget_is_read() {
        let told = |value| usage(&headers(&[(LIMIT_INFO, value)]));
        let expected = Some(Usage { used: 18, of: 15_000 });
        assert_eq!(told("api-usage=18/15000; per-app-api-usage=17/250(appName=x)"), expected);
        for nonsense in ["api-usage=18/0", "api-usage=18", "per-app-api-usage=1/2", ""] {
            assert_eq!(told(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_moment_of_the_same_clock() {
        let date = (DATE, "Thu, 17 Mar 2022 16:21:26 GMT");
        let told = |value| retry_after(&headers(&[date.clone(), (RETRY_AFTER, value)]));
        assert_eq!(told("120"), Some(Duration::from_secs(120)));
        assert_eq!(told("Thu, 17 Mar 2022 16:23:26 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(told("Thu, 17 Mar 2022 16:20:00 GMT"), None, "it is over");
        assert_eq!(told("soon"), None);
    }

    /// The places of all are taken; who waits first is served first.
    #[test]
    fn no_more_calls_than_there_are_places_and_first_come_first_served() {
        let governor = Governor::new(2, 90);
        let (one, _two) = (governor.place().now_or_never().unwrap(), governor.place().now_or_never().unwrap());
        let (mut third, mut fourth) = (Box::pin(governor.place()), Box::pin(governor.place()));
        assert!(third.as_mut().now_or_never().is_none() && fourth.as_mut().now_or_never().is_none());
        drop(one);
        assert!(fourth.as_mut().now_or_never().is_none(), "it came later");
        assert!(third.as_mut().now_or_never().is_some());
    }

    /// Take the place first, and the second write keeps the title from going on.
    #[test]
    fn whoever_waits_for_the_role_lane_takes_no_place_from_others() {
        let governor = Governor::new(2, 90);
        let one = governor.place_in_role_lane().now_or_never().unwrap();
        let mut second = Box::pin(governor.place_in_role_lane());
        assert!(second.as_mut().now_or_never().is_none());
        let title = governor.place().now_or_never();
        assert!(title.is_some());
        drop(one);
        assert!(second.as_mut().now_or_never().is_some());
    }

    /// Let downloads have all of them, and whoever is to be shut out at once stays in until a page of an export has come.
    #[test]
    fn downloads_leave_a_quarter_of_the_places_to_others() {
        for (at_once, downloads) in [(1, 1), (2, 1), (3, 2), (4, 3), (10, 7)] {
            let governor = Governor::new(at_once, 90);
            let given: Vec<Place> =
                std::iter::from_fn(|| governor.place_for_download().now_or_never()).take(at_once).collect();
            assert_eq!(given.len(), downloads);
            assert_eq!(governor.place().now_or_never().is_some(), at_once > 1, "one of {at_once}");
            drop(given);
            assert!(governor.place_for_download().now_or_never().is_some(), "it is given back");
        }
    }

    /// Let others come when the wait is over, and as many as there is room for wait with them, quarter by quarter.
    #[test]
    fn those_that_wait_for_calls_look_before_others_come() {
        for wait in [None, Some(Duration::from_secs(120))] {
            let governor = Governor::new(1, 90);
            let refused = error::failure("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
            governor.asked(&refused, wait);
            let they_look = clock::now() + governor.patience(&refused);
            let others_come = governor.calls_left().unwrap().until;
            assert!(others_come > they_look + Duration::from_secs(20), "{wait:?}");
        }
    }

    #[test]
    fn a_failure_that_asks_for_patience_has_some() {
        let governor = Governor::new(1, 90);
        let wait = |code, message| governor.patience(&error::failure(code, message)).as_secs();
        assert_eq!(wait("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), 900);
        assert_eq!(wait("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."), 20);
        assert_eq!(wait("SERVER_UNAVAILABLE", ""), 0);
        assert_eq!(wait("ORG_IN_MAINTENANCE", ""), 120);
        assert_eq!(governor.patience(&reserved(used(950), 90)), USED_UP);
        let rate = error::refused_sign_in("rate_limit_exceeded", "login rate exceeded");
        assert_eq!(governor.patience(&rate), LONGEST);
    }
}
