//! What speaks against a program's being live, ready or useful.

use serde::{Deserialize, Serialize};

/// What may be said of a program. Each says more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Its parts move and its disk takes what it writes. What is not live is started again.
    Live,
    /// And it has what it needs to be given work.
    Ready,
    /// And it can do some now.
    Useful,
}

impl Word {
    /// All, in their order.
    pub const ALL: [Self; 3] = [Self::Live, Self::Ready, Self::Useful];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Useful => "useful",
        }
    }
}

/// Why a word does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs.
    pub code: String,
    /// For people, with the next step.
    pub message: String,
}

/// What speaks against each word; nothing: it holds. What speaks against one speaks against those that say more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    live: Vec<Reason>,
    ready: Vec<Reason>,
    useful: Vec<Reason>,
}

/// What a probe is answered.
#[derive(Serialize)]
pub(crate) struct Answer<'a> {
    word: &'static str,
    holds: bool,
    reasons: Vec<&'a Reason>,
}

impl Verdict {
    /// This speaks against `word`.
    pub fn against(&mut self, word: Word, code: &'static str, message: impl Into<String>) {
        let reason = Reason { code: code.to_owned(), message: message.into() };
        match word {
            Word::Live => self.live.push(reason),
            Word::Ready => self.ready.push(reason),
            Word::Useful => self.useful.push(reason),
        }
    }

    /// Whether nothing speaks against `word`.
    pub fn holds(&self, word: Word) -> bool {
        self.reasons(word).next().is_none()
    }

    /// What speaks against `word`, the worst first.
    pub fn reasons(&self, word: Word) -> impl Iterator<Item = &Reason> {
        let ready = if word == Word::Live { &[][..] } else { &self.ready };
        let useful = if word == Word::Useful { &self.useful[..] } else { &[] };
        self.live.iter().chain(ready).chain(useful)
    }

    /// What a probe that asks for `word` is answered.
    pub fn answer(&self, word: Word) -> String {
        let reasons: Vec<_> = self.reasons(word).collect();
        let answer = Answer { word: word.as_str(), holds: reasons.is_empty(), reasons };
        serde_json::to_string(&answer).unwrap_or_default()
    }
}

/// What is known of any program that does work.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// Parts that have to move and did not for half of the time after which they are given up.
    pub stalled: Vec<&'static str>,
    /// The owner of what the program holds does not answer.
    pub is_silent: bool,
    /// The store takes nothing any more.
    pub is_broken: bool,
    /// The program was asked to stop.
    pub is_stopping: bool,
}

impl Life {
    /// What of it speaks against which word; `program` and `owner` are what people call the two.
    pub fn verdict(&self, program: &str, owner: &str) -> Verdict {
        let mut verdict = Verdict::default();
        for part in &self.stalled {
            let step = format!("if it does not go on by itself, start {program} again and keep its log");
            verdict.against(Word::Live, "stalled", format!("{part} does not move: {step}"));
        }
        if self.is_silent && !self.is_stopping && self.stalled.is_empty() {
            verdict.against(Word::Live, "silent", format!("{owner} does not answer: look again in a minute"));
        }
        if self.is_broken {
            let message = format!("the disk did not take what was written: {program} is about to end");
            verdict.against(Word::Live, "store_failed", message);
        }
        if self.is_stopping {
            verdict.against(Word::Ready, "stopping", format!("{program} is stopping"));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_against_a_word_speaks_against_those_that_say_more() {
        for (at, word) in Word::ALL.into_iter().enumerate() {
            let mut verdict = Verdict::default();
            verdict.against(word, "why", "Because");
            let holds: Vec<_> = Word::ALL.map(|it| verdict.holds(it)).to_vec();
            let expected: Vec<_> = (0..Word::ALL.len()).map(|number| number < at).collect();
            assert_eq!(holds, expected, "{word:?}");
        }
    }

    #[test]
    fn an_answer_has_the_reasons() {
        let mut verdict = Verdict::default();
        assert_eq!(verdict.answer(Word::Ready), r#"{"word":"ready","holds":true,"reasons":[]}"#);
        verdict.against(Word::Ready, "no_session", "Nobody is there");
        verdict.against(Word::Useful, "member_disabled", "Ask an operator");
        let reason = r#"{"code":"no_session","message":"Nobody is there"}"#;
        assert_eq!(verdict.answer(Word::Ready), format!(r#"{{"word":"ready","holds":false,"reasons":[{reason}]}}"#));
    }
}
