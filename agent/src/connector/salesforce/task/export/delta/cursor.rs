//! A cursor: until when records were handed over, and by which runs.

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use postern_protocol::{Failure, FailureClass, TaskId};
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::super::super::super::kept::{admit, buckets, dismiss, is_of_another, names, short_hash};
use super::record::{Known, Marks};
use super::{APART, Now, Span, Watermark};
use crate::connector::{Keep, Standing};
use crate::random;

/// How often runs may be lost before a cursor begins anew: each is remembered, because its hashes may still lie about. Those
/// of one incident follow each other and count once, and so many rows fit the one record that a cursor has.
const MAX_LOST: usize = 128;

/// Cursors of one connected system: each remembers some hundred bytes of every record, and the disk has an end.
const MAX_CURSORS: usize = 32;
/// Where the names of the cursors are kept.
const CURSORS: &str = "salesforce/deltas";

/// The layout of what is kept.
const FORMAT: u32 = 1;

/// A cursor during one run.
#[derive(Clone)]
pub(in super::super) struct Cursor {
    /// Where it is kept, and below it what is remembered of records.
    pub(super) place: String,
    /// The key of the hashes: without it, they tell nothing about values that can be guessed.
    pub(super) key: hmac::Key,
    state: State,
}

/// What is kept of it. It holds a key, so it has no `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(in super::super::super::super) struct State {
    format: u32,
    /// What the cursor is called.
    object: String,
    name: String,
    /// The newest run.
    run: u64,
    /// Runs before this one do not count any more.
    from: u64,
    /// How far the newest run got that was handed over.
    reached: Option<Reached>,
    /// The same of the run before Salesforce's clock went ahead, while it stays so: it may have been wrong in each run since.
    sure: Option<Reached>,
    /// The run that was not known to be handed over when this was written.
    pending: Option<Pending>,
    /// Runs that were never handed over, in their order.
    lost: Vec<Lost>,
    /// What the cursor is of: a hash over object, filter, clause and attributes.
    about: String,
    /// The id of the org; empty if it was not known.
    org: String,
    /// Why it began anew: told until a file that tells it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgot: Option<String>,
    /// The key of the hashes.
    key: String,
}

/// Runs in a row that were never handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Lost {
    /// This one.
    One(u64),
    /// From the first to the last.
    Row(u64, u64),
}

impl Lost {
    fn has(self, run: u64) -> bool {
        self.first() <= run && run <= self.last()
    }

    fn first(self) -> u64 {
        let (Self::One(first) | Self::Row(first, _)) = self;
        first
    }

    fn last(self) -> u64 {
        let (Self::One(last) | Self::Row(_, last)) = self;
        last
    }
}

/// Until when records were handed over, in milliseconds since 1970 by Salesforce's clock, and by how many of them that was
/// ahead of this host's then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    until: i64,
    ahead: i64,
}

impl Reached {
    fn watermark(self) -> Option<Watermark> {
        let until = Timestamp::from_millisecond(self.until).ok()?;
        Some(Watermark { until, ahead: SignedDuration::from_millis(self.ahead) })
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pending {
    task: String,
    /// Whether that is taken anew: then the cursor had begun anew with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anew: bool,
    /// From when it asks; `None`: from the beginning.
    from: Option<i64>,
    reaches_back: bool,
    /// How far it gets.
    reached: Reached,
}

impl Pending {
    fn task(&self) -> Option<TaskId> {
        let bytes = HEXLOWER.decode(self.task.as_bytes()).ok()?;
        Some(TaskId::from_bytes(bytes.try_into().ok()?))
    }
}

/// What a cursor is to begin with.
pub(in super::super) struct Begin<'a> {
    /// The id of the org.
    pub(in super::super) org: &'a str,
    pub(in super::super) object: &'a str,
    pub(in super::super) name: &'a str,
    /// Everything that decides which records and attributes are handed over.
    pub(in super::super) about: &'a str,
    pub(in super::super) restart: bool,
    pub(in super::super) task: TaskId,
    pub(in super::super) now: Now,
}

impl Cursor {
    /// Begins a run, and says what has been forgotten, if anything had to be and nobody was told yet. What the run finds counts
    /// when its task is known to have been handed over.
    pub(in super::super) async fn begin(
        keep: &dyn Keep,
        begin: Begin<'_>,
    ) -> Result<(Self, Span, Option<String>), Failure> {
        let place = place(begin.object, begin.name);
        let stored = keep.recall(&place)?;
        if stored.is_none() && !admit(keep, CURSORS, &place, MAX_CURSORS).await? {
            return Err(full(begin.name));
        }
        let read = stored.as_deref().and_then(|stored| serde_json::from_slice::<State>(stored).ok());
        let known = read.filter(|state| state.format == FORMAT);
        let task = HEXLOWER.encode(begin.task.as_bytes());
        if !begin.restart && known.as_ref().map_or(Ok(false), |state| state.waits_for_another(&task, keep))? {
            return Err(on_its_way(begin.name));
        }
        let is_unknown = stored.is_some() && known.is_none();
        if begin.restart || known.is_none() {
            // A record of which nothing is remembered is new: cut off in the middle, this makes nobody miss one.
            buckets::forget(keep, &place).await?;
        }
        let mut state = known.unwrap_or_else(State::new);
        let about = short_hash(&[begin.about]);
        let anew = keep.taken_anew(begin.task)?;
        // Another attempt at a task asks the same, so that it can go on with the job of the one before.
        let asked = state.pending.as_ref().filter(|pending| pending.task == task && pending.anew == anew).cloned();
        state.settle(keep)?;
        if is_unknown {
            state.forgot = Some(UNKNOWN.to_owned());
        }
        let comes_again = anew && asked.is_none();
        if comes_again {
            // Which files of other runs are lost nobody here knows.
            state.forget();
            state.forgot.get_or_insert_with(|| FILES_LOST.to_owned());
        }
        if begin.restart {
            state.forget();
        } else if comes_again {
            if let Some(changed) = state.changed(&about, &begin) {
                // An old question is not to keep the cursor from whoever asks the one that followed it.
                keep.keep(&place, serde_json::to_vec(&state).unwrap_or_default()).await?;
                return Err(changed);
            }
        } else if (state.reached.is_some() || state.forgot.is_some())
            && let Some(changed) = state.changed(&about, &begin)
        {
            return Err(changed);
        } else if state.lost.len() >= MAX_LOST {
            state.forget();
            state.forgot = Some(LOST_TOO_OFTEN.to_owned());
        }
        if !begin.org.is_empty() {
            begin.org.clone_into(&mut state.org);
        }
        state.about = about;
        begin.object.clone_into(&mut state.object);
        begin.name.clone_into(&mut state.name);
        let span = state.ask((task, anew), asked.as_ref(), begin.now)?;
        // On disk before any hash of this run is, so that a later run knows them for what they are.
        keep.keep(&place, serde_json::to_vec(&state).unwrap_or_default()).await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, state.key.as_bytes());
        let forgot = state.forgot.clone();
        Ok((Self { place, key, state }, span, forgot))
    }

    /// The number of this run.
    pub(super) fn run(&self) -> u64 {
        self.state.run
    }

    /// The hashes of a record as it was last handed over.
    pub(super) fn standing<'a>(&self, known: &'a Known) -> Option<&'a Marks> {
        let counts = |run: u64| run >= self.state.from && run < self.state.run && !self.state.has_lost(run);
        if counts(known.marks.run) {
            return Some(&known.marks);
        }
        known.before.as_ref().filter(|before| before.run >= self.state.from)
    }
}

impl State {
    fn new() -> Self {
        Self { format: FORMAT, key: HEXLOWER.encode(&random::bytes::<32>()), ..Self::default() }
    }

    /// Whether what the run before told may yet be handed over, unless that was of this task. If it was taken for lost, what it
    /// tells and what was taken back since would be told by nobody.
    fn waits_for_another(&self, task: &str, keep: &dyn Keep) -> Result<bool, Failure> {
        let other = self.pending.as_ref().filter(|pending| pending.task != task);
        other.and_then(Pending::task).map_or(Ok(false), |task| keep.owed(task))
    }

    /// Finds out what became of the run before: handed over, or lost.
    fn settle(&mut self, keep: &dyn Keep) -> Result<(), Failure> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        if pending.task().map_or(Ok(false), |task| keep.delivered(task))? {
            self.move_on(&pending);
        } else {
            self.lose();
        }
        Ok(())
    }

    /// The newest run was not handed over.
    fn lose(&mut self) {
        match self.lost.last_mut() {
            Some(before) if before.last() + 1 == self.run => *before = Lost::Row(before.first(), self.run),
            _ => self.lost.push(Lost::One(self.run)),
        }
    }

    fn has_lost(&self, run: u64) -> bool {
        let behind = self.lost.partition_point(|it| it.last() < run);
        self.lost.get(behind).is_some_and(|it| it.has(run))
    }

    /// What a run told was handed over.
    fn move_on(&mut self, run: &Pending) {
        let (sure, now) = (self.sure.or(self.reached), run.reached);
        let apart = i64::try_from(APART.as_millis()).unwrap_or_default();
        let ahead = sure.map(|sure| now.ahead.saturating_sub(sure.ahead)).filter(|it| *it > apart);
        self.sure = match (sure, ahead) {
            // It told everything until it began, which may have been earlier than that clock said.
            (Some(sure), Some(ahead)) if run.reaches_back => {
                Some(Reached { until: now.until.saturating_sub(ahead), ..sure })
            }
            (sure, Some(_)) => sure,
            (_, None) => self.sure.filter(|_| !run.reaches_back),
        };
        self.reached = Some(now);
        self.forgot = None;
    }

    /// What the next run asks for; `asked` is what another attempt at its task did.
    fn ask(&mut self, (task, anew): (String, bool), asked: Option<&Pending>, now: Now) -> Result<Span, Failure> {
        let watermark = |reached: Option<Reached>| reached.and_then(Reached::watermark);
        let mut span = Span::new(now, watermark(self.reached), watermark(self.sure))?;
        let mut ahead = i64::try_from(now.ahead().as_millis()).unwrap_or_default();
        if let Some(asked) = asked
            && let Ok(until) = Timestamp::from_millisecond(asked.reached.until)
        {
            (span.until, ahead) = (until, asked.reached.ahead);
            // A cursor that has begun anew since has nothing to go on from.
            if self.reached.is_some() {
                span.from = asked.from.and_then(|from| Timestamp::from_millisecond(from).ok());
                span.reaches_back = asked.reaches_back;
            }
        }
        self.run += 1;
        let from = span.from.map(Timestamp::as_millisecond);
        let (until, reaches_back) = (span.until.as_millisecond(), span.reaches_back);
        self.pending = Some(Pending { task, anew, from, reaches_back, reached: Reached { until, ahead } });
        Ok(span)
    }

    /// Why the cursor is none of this question, if another had it before.
    fn changed(&self, about: &str, begin: &Begin<'_>) -> Option<Failure> {
        if !self.about.is_empty() && self.about != about {
            return Some(asked_otherwise(begin.name));
        }
        is_of_another(&self.org, begin.org).then(|| led_elsewhere(begin.name, &self.org, begin.org))
    }

    /// Everything is handed over again.
    fn forget(&mut self) {
        self.from = self.run + 1;
        (self.reached, self.sure) = (None, None);
        self.lost.clear();
    }
}

/// Where a cursor is kept.
pub(in super::super) fn place(object: &str, name: &str) -> String {
    format!("salesforce/delta/{}", short_hash(&[object, name]))
}

/// The cursors of a connected system, by what they are called.
pub(in super::super::super::super) fn cursors(keep: &dyn Keep) -> Result<Vec<Standing>, Failure> {
    let mut all = Vec::new();
    for name in names(keep, CURSORS)? {
        let Some(mut state) = keep.recall(&name)?.and_then(|state| serde_json::from_slice::<State>(&state).ok()) else {
            continue;
        };
        state.settle(keep)?;
        let records = buckets::count(keep, &name)?;
        let until = state.reached.and_then(|it| Timestamp::from_millisecond(it.until).ok());
        all.push(Standing { object: state.object, name: state.name, until, records });
    }
    all.sort_by(|one, other| (&one.object, &one.name).cmp(&(&other.object, &other.name)));
    Ok(all)
}

/// Forgets a cursor and what it remembers of records. Returns whether there was one.
pub(in super::super::super::super) async fn forget_cursor(
    keep: &dyn Keep,
    object: &str,
    name: &str,
) -> Result<bool, Failure> {
    let place = place(object, name);
    let is_there = names(keep, CURSORS)?.contains(&place);
    if is_there {
        dismiss(keep, CURSORS, &place).await?;
    }
    Ok(is_there)
}

const UNKNOWN: &str = "What the cursor remembered was written by another version of the agent, so it begins anew: everything is handed over";

const FILES_LOST: &str = "A task of the cursor had ended here and came again: the controller may have lost files, so the cursor begins \
                          anew: everything is handed over";

const LOST_TOO_OFTEN: &str =
    "So many runs of the cursor were never handed over that it begins anew: everything is handed over";

fn full(shown: &str) -> Failure {
    let summary = format!("There is no place for the cursor `{shown}`: a member keeps {MAX_CURSORS} for one system");
    Failure::new(FailureClass::Rejected, "too_many_cursors", summary).with_next_step(
        "Use one that is there; `restart` makes it begin anew, with any filter and attributes. `postern cursor forget`, \
         on the member, makes place",
    )
}

fn on_its_way(name: &str) -> Failure {
    let summary = format!("What the run before of the cursor `{name}` found was not handed over yet");
    Failure::new(FailureClass::Transient, "cursor_busy", summary)
        .with_next_step("Wait until it is, or until its task is over; or begin the cursor anew with `restart`")
}

fn changed(summary: String) -> Failure {
    Failure::new(FailureClass::Rejected, "cursor_changed", summary)
        .with_next_step("Begin the cursor anew with `restart`, or name another cursor")
}

fn led_elsewhere(name: &str, before: &str, now: &str) -> Failure {
    let summary = format!(
        "The cursor `{name}` belongs to the org {before}, and the system leads to the org {now}; its records may bear times \
         from before the cursor's last run, and would never be seen"
    );
    changed(summary)
}

fn asked_otherwise(name: &str) -> Failure {
    let summary = format!(
        "The cursor `{name}` belongs to another filter, clause or list of attributes; records that match only now have \
         not changed, and would never be seen"
    );
    changed(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Kept;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-{time}Z").parse().unwrap()
    }

    fn reached(until: &str, ahead: i64) -> Reached {
        Reached { until: at(until).as_millisecond(), ahead }
    }

    fn now(org: &str, here: &str) -> Now {
        Now { org: at(org), here: at(here) }
    }

    /// What the next attempt at a task asks for, whatever became of the one before.
    fn again(state: &mut State, now: Now) -> Span {
        let asked = state.pending.take().unwrap();
        state.lose();
        state.ask((asked.task.clone(), false), Some(&asked), now).unwrap()
    }

    /// Two clocks are never read at the same moment twice. Ask from another moment each time, and each attempt makes a job anew.
    #[test]
    fn another_attempt_asks_the_same_after_a_clock_that_was_ahead_too() {
        let lie = State { reached: Some(reached("28T17:55:00", 6 * 3_600_000)), ..State::new() };
        for (org, from) in [("28T19:00:00", Some(at("28T11:45:00"))), ("28T13:00:00", None)] {
            let mut state = lie.clone();
            let first = state.ask(("00".to_owned(), false), None, now(org, org)).unwrap();
            assert_eq!((first.from, first.reaches_back), (from, true), "{org}");
            for later in ["29T08:00:00", "29T08:00:00.007"] {
                let next = again(&mut state, now("29T08:00:00", later));
                assert_eq!((next.from, next.until, next.reaches_back), (first.from, first.until, true), "{org}");
            }
        }
    }

    /// Each row is a night: what both clocks said, and from when its run asked. Keep the newest run's clocks alone, and what changed
    /// between two of those that were ahead is in no run.
    #[test]
    fn clocks_that_were_ahead_in_several_runs_are_gone_back_from_to_the_one_before_them() {
        let ahead_alike = [
            ("24T02:00:00", "24T02:00:00", None, false),
            ("25T08:00:00", "25T02:00:00", Some("24T01:45:00"), false),
            ("26T08:00:00", "26T02:00:00", Some("25T07:45:00"), false),
            ("27T02:00:00", "27T02:00:00", Some("24T01:45:00"), true),
            ("28T02:00:00", "28T02:00:00", Some("27T01:45:00"), false),
        ];
        let partly_right_between = [
            ("24T02:00:00", "24T02:00:00", None, false),
            ("25T08:00:00", "25T02:00:00", Some("24T01:45:00"), false),
            ("26T05:00:00", "26T02:00:00", Some("24T01:45:00"), true),
            ("27T05:00:00", "27T02:00:00", Some("26T04:45:00"), false),
            ("28T02:00:00", "28T02:00:00", Some("26T01:45:00"), true),
            ("29T02:00:00", "29T02:00:00", Some("28T01:45:00"), false),
        ];
        // It costs nothing until then.
        let a_host_that_was_set_back_for_good = [
            ("24T02:00:00", "24T02:00:00", None, false),
            ("25T02:00:00", "24T20:00:00", Some("24T01:45:00"), false),
            ("26T02:00:00", "25T20:00:00", Some("25T01:45:00"), false),
            ("27T02:00:00", "26T20:00:30", Some("26T01:45:00"), false),
        ];
        for nights in [&ahead_alike[..], &partly_right_between, &a_host_that_was_set_back_for_good] {
            let mut state = State::new();
            for (org, here, from, reaches_back) in nights {
                if let Some(pending) = state.pending.take() {
                    state.move_on(&pending);
                }
                let span = state.ask(("00".to_owned(), false), None, now(org, here)).unwrap();
                assert_eq!((span.from, span.reaches_back), (from.map(at), *reaches_back), "{org} {here}");
                state = serde_json::from_slice(&serde_json::to_vec(&state).unwrap()).unwrap();
            }
        }
    }

    /// Runs that were lost made it begin anew: what it remembered of records does not count any more.
    #[test]
    fn another_attempt_at_a_cursor_that_began_anew_asks_from_the_beginning() {
        let mut state = State { reached: Some(reached("28T11:55:00", 0)), ..State::new() };
        let first = state.ask(("00".to_owned(), false), None, now("28T13:00:00", "28T13:00:00")).unwrap();
        assert_eq!(first.from, Some(at("28T11:45:00")));
        state.forget();
        let next = again(&mut state, now("28T13:00:00", "28T13:00:00"));
        assert_eq!((next.from, next.reaches_back), (None, false));
    }

    /// Remember each by itself, and some hours of an incident make a cursor begin anew: every record is told as a new one.
    #[test]
    fn runs_that_are_lost_in_a_row_take_one_place() {
        let mut state = State::new();
        for run in 1..=300 {
            state.run = run;
            if !matches!(run, 1..=3 | 100 | 200 | 202) {
                state.lose();
            }
        }
        assert_eq!(state.lost, [Lost::Row(4, 99), Lost::Row(101, 199), Lost::One(201), Lost::Row(203, 300)]);
        let kept = serde_json::to_string(&state).unwrap();
        assert!(kept.contains(r#""lost":[[4,99],[101,199],201,[203,300]]"#), "{kept}");
        let state: State = serde_json::from_str(&kept).unwrap();
        let delivered: Vec<u64> = (1..=301).filter(|run| !state.has_lost(*run)).collect();
        assert_eq!(delivered, [1, 2, 3, 100, 200, 202, 301]);
    }

    /// What is too large for its record could never be kept again, at any run.
    #[tokio::test]
    async fn a_cursor_that_lost_as_many_runs_as_it_may_is_kept_and_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Kept::in_folder(folder.path());
        let (object, name) = ("x".repeat(80), "\u{1f511}".repeat(64));
        let rows = |count| (0..).step_by(3).take(count).map(|it| Lost::Row(9_000_000 + it, 9_000_001 + it)).collect();
        let far = Reached { until: i64::MAX, ahead: i64::MIN };
        let full = State {
            object: object.clone(),
            name: name.clone(),
            run: 9_999_998,
            reached: Some(reached("28T11:55:00", i64::MIN)),
            sure: Some(far),
            pending: Some(Pending {
                task: "ff".repeat(16),
                anew: true,
                from: Some(i64::MAX),
                reaches_back: true,
                reached: far,
            }),
            lost: rows(MAX_LOST - 1),
            about: short_hash(&["all"]),
            org: "00D5g000004c92EAAQ".to_owned(),
            forgot: Some(FILES_LOST.to_owned()),
            ..State::new()
        };
        keep.keep(&place(&object, &name), serde_json::to_vec(&full).unwrap()).await.unwrap();
        let now = now("28T19:00:00", "28T19:00:00");
        let begin = || Begin {
            org: "00D5g000004c92EAAQ",
            object: &object,
            name: &name,
            about: "all",
            restart: false,
            task: TaskId::from_bytes([7; 16]),
            now,
        };
        let other = Cursor::begin(&keep, Begin { about: "other", ..begin() }).await.err().unwrap();
        assert_eq!(other.code.as_str(), "cursor_changed", "or it keeps the cursor from whoever asks as before");
        let (cursor, span, forgot) = Cursor::begin(&keep, begin()).await.unwrap();
        assert_eq!((cursor.state.lost.len(), span.from, forgot.as_deref()), (0, None, Some(LOST_TOO_OFTEN)));
        let (_, _, forgot) = Cursor::begin(&keep, begin()).await.unwrap();
        assert_eq!(
            forgot.as_deref(),
            Some(LOST_TOO_OFTEN),
            "the file of this attempt may be the one that is handed over"
        );
        let one_less = State { lost: rows(MAX_LOST - 2), ..full };
        keep.keep(&place(&object, &name), serde_json::to_vec(&one_less).unwrap()).await.unwrap();
        let (cursor, _, forgot) = Cursor::begin(&keep, begin()).await.unwrap();
        let expected = (MAX_LOST - 1, Some(FILES_LOST));
        assert_eq!((cursor.state.lost.len(), forgot.as_deref()), expected, "and that was kept");
    }

    /// Look for what is kept of it, and one whose forgetting was cut off has its place for ever.
    #[tokio::test]
    async fn a_cursor_that_was_forgotten_by_half_is_forgotten_whole() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Kept::in_folder(folder.path());
        assert_eq!(admit(&keep, CURSORS, &place("User", "nightly"), MAX_CURSORS).await, Ok(true));
        assert_eq!(cursors(&keep), Ok(Vec::new()));
        assert_eq!(forget_cursor(&keep, "User", "nightly").await, Ok(true));
        assert_eq!(forget_cursor(&keep, "User", "nightly").await, Ok(false));
        assert_eq!(names(&keep, CURSORS), Ok(Vec::new()));
    }
}
