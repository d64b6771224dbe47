//! How often things may be done in an hour and in a day, and how often they were.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::act::Act;
use super::refused::{Refused, Rule};

/// What has a ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Accounts that can sign in no more.
    Deactivations,
    /// Accounts with another password, or a useless one, or that somebody else may come to sign in as.
    Resets,
    /// New accounts.
    Creates,
}

impl Counted {
    const ALL: [Self; 3] = [Self::Deactivations, Self::Resets, Self::Creates];

    fn is_in(self, act: &Act) -> bool {
        match self {
            Self::Deactivations => act.deactivates,
            Self::Resets => act.resets || act.signs_in_otherwise,
            Self::Creates => act.creates,
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deactivations => "deactivations",
            Self::Resets => "resets",
            Self::Creates => "creates",
        })
    }
}

/// How often one thing may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// In any hour.
    pub per_hour: Option<u32>,
    /// In any 24 hours.
    pub per_day: Option<u32>,
}

/// How often things may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Accounts are disabled, frozen or deprovisioned.
    pub deactivations: Ceiling,
    /// Passwords are set, reset or expired, or accounts get another e-mail address or identity.
    pub resets: Ceiling,
    /// Accounts are made.
    pub creates: Ceiling,
}

impl Ceilings {
    const fn of(&self, counted: Counted) -> Ceiling {
        match counted {
            Counted::Deactivations => self.deactivations,
            Counted::Resets => self.resets,
            Counted::Creates => self.creates,
        }
    }
}

/// A stretch of time that is looked back on, in slots: what falls into one slot leaves the window together.
#[derive(Debug, Clone, Copy)]
struct Span {
    slot_secs: i64,
    /// How many slots before the present one are looked at: with it they are never less than the stretch.
    back: i64,
}

const HOUR: Span = Span { slot_secs: 300, back: 12 };
const DAY: Span = Span { slot_secs: 3_600, back: 24 };

impl Span {
    fn slot(self, now: Timestamp) -> i64 {
        now.as_second().div_euclid(self.slot_secs)
    }

    /// When what happened in a slot counts no more.
    fn gone(self, slot: i64) -> Option<Timestamp> {
        let second = slot.checked_add(self.back)?.checked_add(1)?.checked_mul(self.slot_secs)?;
        Timestamp::from_second(second).ok()
    }
}

/// What happened in a window: slots and counts, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen(Vec<(i64, u32)>);

impl Seen {
    /// Forgets what is out of the window. What seems to be in the future was written by a clock that was wrong, and is
    /// taken for what happened now: it is neither forgotten nor kept for ever.
    fn look(&mut self, span: Span, now: Timestamp) {
        let present = span.slot(now);
        self.0.retain(|(slot, _)| present.saturating_sub(*slot) <= span.back);
        let ahead: u32 =
            self.0.iter().filter(|(slot, _)| *slot > present).fold(0, |sum, (_, n)| sum.saturating_add(*n));
        if ahead > 0 {
            self.0.retain(|(slot, _)| *slot <= present);
            self.add(present, ahead);
        }
    }

    fn add(&mut self, slot: i64, count: u32) {
        match self.0.last_mut() {
            Some((last, held)) if *last == slot => *held = held.saturating_add(count),
            Some(_) | None => self.0.push((slot, count)),
        }
    }

    fn count(&self) -> u32 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// When one more is below `limit`; `None`: never.
    fn again(&self, span: Span, limit: u32) -> Option<Timestamp> {
        let mut left = self.count();
        for (slot, count) in &self.0 {
            left = left.saturating_sub(*count);
            if left < limit {
                return span.gone(*slot);
            }
        }
        None
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Counter {
    hour: Seen,
    day: Seen,
}

/// How often things were done, as far back as it matters. What a version before did not count counts from nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    deactivations: Counter,
    resets: Counter,
    creates: Counter,
}

impl Counters {
    fn of(&mut self, counted: Counted) -> &mut Counter {
        match counted {
            Counted::Deactivations => &mut self.deactivations,
            Counted::Resets => &mut self.resets,
            Counted::Creates => &mut self.creates,
        }
    }

    /// Counts a change, unless that would be above a ceiling. What has no ceiling is not counted.
    pub(super) fn count(&mut self, act: &Act, ceilings: &Ceilings, now: Timestamp) -> Result<(), Refused> {
        let all = || Counted::ALL.into_iter().filter(|it| it.is_in(act));
        for it in all() {
            let Ceiling { per_hour, per_day } = ceilings.of(it);
            let counter = self.of(it);
            counter.hour.look(HOUR, now);
            counter.day.look(DAY, now);
            check(&counter.hour, HOUR, per_hour, Rule::PerHour(it), "hour")?;
            check(&counter.day, DAY, per_day, Rule::PerDay(it), "day")?;
        }
        for it in all() {
            let Ceiling { per_hour, per_day } = ceilings.of(it);
            let counter = self.of(it);
            if per_hour.is_some() {
                counter.hour.add(HOUR.slot(now), 1);
            }
            if per_day.is_some() {
                counter.day.add(DAY.slot(now), 1);
            }
        }
        Ok(())
    }
}

fn check(seen: &Seen, span: Span, limit: Option<u32>, rule: Rule, unit: &str) -> Result<(), Refused> {
    match limit {
        Some(limit) if seen.count() >= limit => {
            let why = format!("{limit} in one {unit} are the most, and {} were counted", seen.count());
            Err(Refused::new(rule, why).again(seen.again(span, limit)))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    /// How much longer than a day the window of a day may be.
    const SLACK: SignedDuration = SignedDuration::from_hours(1);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn disable() -> Act {
        Act { account: "a@b.c".to_owned(), deactivates: true, ..Act::default() }
    }

    fn ceilings(per_hour: Option<u32>, per_day: Option<u32>) -> Ceilings {
        Ceilings { deactivations: Ceiling { per_hour, per_day }, ..Ceilings::default() }
    }

    /// Begin each hour anew instead, and twice as many get through within minutes.
    #[test]
    fn no_hour_whenever_it_begins_has_more_than_the_ceiling() {
        let ceilings = ceilings(Some(3), None);
        let mut counters = Counters::default();
        let mut admitted = Vec::new();
        let mut now = at("2026-01-05T09:58:00Z");
        for _ in 0..400 {
            if counters.count(&disable(), &ceilings, now).is_ok() {
                admitted.push(now);
            }
            now += SignedDuration::from_secs(37);
        }
        let within = |first: &Timestamp| {
            let hour = *first + SignedDuration::from_hours(1);
            admitted.iter().filter(|it| *it >= first && **it < hour).count()
        };
        assert!(admitted.iter().all(|first| within(first) <= 3), "{admitted:?}");
        assert!(admitted.len() >= 9, "and four hours let nine through at least: {admitted:?}");
    }

    #[test]
    fn a_refusal_names_the_rule_and_when_it_is_possible_again_and_then_it_is() {
        let ceilings = ceilings(Some(5), Some(2));
        let mut counters = Counters::default();
        let now = at("2026-01-05T10:02:00Z");
        counters.count(&disable(), &ceilings, now).unwrap();
        counters.count(&disable(), &ceilings, now + SignedDuration::from_mins(90)).unwrap();
        let refused = counters.count(&disable(), &ceilings, now + SignedDuration::from_hours(2)).unwrap_err();
        assert_eq!(refused.rule.to_string(), "deactivations_per_day");
        let again = refused.again.unwrap();
        assert!(again > now + SignedDuration::from_hours(24) && again <= now + SignedDuration::from_hours(24) + SLACK);
        assert!(counters.clone().count(&disable(), &ceilings, again - SignedDuration::from_secs(1)).is_err());
        counters.count(&disable(), &ceilings, again).unwrap();
        assert!(refused.to_string().contains(&again.to_string()), "{refused}");
    }

    #[test]
    fn a_ceiling_of_zero_is_for_ever_and_other_things_do_not_count() {
        let mut counters = Counters::default();
        let now = at("2026-01-05T10:00:00Z");
        let none = ceilings(Some(0), None);
        assert_eq!(counters.count(&disable(), &none, now).unwrap_err().again, None);
        let reset = Act { resets: true, deactivates: false, ..disable() };
        counters.count(&reset, &none, now).unwrap();
        assert_eq!(counters, Counters::default(), "what has no ceiling is not counted");
    }

    #[test]
    fn what_is_refused_by_one_ceiling_counts_toward_none() {
        let both = Act { resets: true, ..disable() };
        let mut ceilings = ceilings(Some(9), None);
        ceilings.resets.per_hour = Some(0);
        let mut counters = Counters::default();
        assert!(counters.count(&both, &ceilings, at("2026-01-05T10:00:00Z")).is_err());
        assert_eq!(counters, Counters::default());
    }

    /// Forget what lies ahead, and whoever sets the clock back has every ceiling anew; keep it, and nothing is possible
    /// for years.
    #[test]
    fn a_clock_that_is_set_back_gives_no_ceiling_anew_and_blocks_nothing_for_long() {
        let ceilings = ceilings(Some(1), Some(1));
        let mut counters = Counters::default();
        counters.count(&disable(), &ceilings, at("2036-01-01T00:00:00Z")).unwrap();
        let now = at("2026-01-05T10:00:00Z");
        let refused = counters.count(&disable(), &ceilings, now).unwrap_err();
        assert_eq!(refused.rule, Rule::PerHour(Counted::Deactivations));
        counters.count(&disable(), &ceilings, now + SignedDuration::from_hours(25)).unwrap();
    }

    /// A record of the store has little room.
    #[test]
    fn counters_stay_small_whatever_is_counted() {
        let ceiling = Ceiling { per_hour: Some(u32::MAX), per_day: Some(u32::MAX) };
        let ceilings = Ceilings { deactivations: ceiling, resets: ceiling, creates: ceiling };
        let all = Act { resets: true, creates: true, ..disable() };
        let mut counters = Counters::default();
        let mut now = at("2026-01-05T10:00:00Z");
        for _ in 0..5_000 {
            counters.count(&all, &ceilings, now).unwrap();
            now += SignedDuration::from_secs(61);
        }
        assert!(serde_json::to_vec(&counters).unwrap().len() < 3_000);
    }
}
