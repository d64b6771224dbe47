//! What goes wrong with Salesforce, as failures: what kind each is, whether it counts toward a lock-out, and what to do
//! about it.

mod table;

use postern_protocol::Failure;
use postern_protocol::FailureClass::{self, Interrupted, RateLimited, Rejected, Transient, Unauthorized};
use postern_protocol::bounded::Text;

use crate::http::{Hop, Lost, Sent};
use crate::redaction::{redacted, tells};
use table::{Known, SIGN_IN, TABLE};

/// What a call that is longer than is taken fails with.
const TOO_LONG: &str = "call_too_long";
/// What an answer fails with that leads elsewhere.
const REDIRECTED: &str = "redirected";

/// What a server says that broke down, or was stopped, in the middle of a call.
const BROKE_DOWN: &[&str] = &["UNKNOWN_EXCEPTION", "INTERNAL_SERVER_ERROR", "REQUEST_RUNNING_TOO_LONG"];
/// What a server says that does not begin with a call; and that rows are locked, for which all of it is rolled back.
const TURNED_AWAY: &[&str] = &[
    "SERVER_UNAVAILABLE",
    "API_CURRENTLY_DISABLED",
    "FUNCTIONALITY_TEMPORARILY_UNAVAILABLE",
    "ORG_IN_MAINTENANCE",
    "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE",
    "ORG_NOT_OWNED_BY_INSTANCE",
    "API_DISABLED_FOR_ORG",
    "REQUEST_LIMIT_EXCEEDED",
    "UNABLE_TO_LOCK_ROW",
];

/// What an org that is read-only for a while refuses every write with, whichever it is.
const READ_ONLY: &[&str] = &["ORG_IN_MAINTENANCE", "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"];

/// The most characters of Salesforce's own words that are passed on.
const MAX_WORDS: usize = 400;
/// A message longer than this, in bytes, is none of Salesforce's, and nobody looks through it. To cut it would leave the half of a
/// secret that it repeats.
const LONGEST_MESSAGE: usize = 16 * 1024;
/// Said in its place.
const NONE_OF_ITS: &str = "(more words than any message of its has)";
/// What stands behind words of which the rest was cut off. Nobody else writes it.
const CUT: &str = "… (cut)";
/// Said in place of words that may tell a value that is shown nowhere.
pub(super) const KEPT_BACK: &str = "(kept back: it may hold a value that is shown nowhere)";

/// What a summary says before words of others, and nothing else does behind those.
const SAYS: &str = "Salesforce: ";
const TAKES: &str = "the call is longer than the org, or what stands between, takes: ";
const NAMES: &str = "nothing was sent, because Salesforce named what is no path at its host: ";

/// Whether a refused sign-in may have counted toward the lock-out of the service account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// It may have.
    Yes,
    /// The credentials were not judged, or are right.
    No,
}

fn bounded(message: &str) -> &str {
    if message.len() > LONGEST_MESSAGE { NONE_OF_ITS } else { message }
}

fn find(code: &str, message: &str) -> Option<&'static Known> {
    let message = bounded(message).to_lowercase();
    TABLE.iter().find(|known| known.fits(code, &message))
}

fn find_at_sign_in(code: &str, message: &str) -> Option<(&'static Known, Counts)> {
    let lower = bounded(message).to_lowercase();
    let there = SIGN_IN.iter().find(|(known, _)| known.fits(code, &lower)).map(|(known, counts)| (known, *counts));
    // What is said of a session or a user says nothing about the credentials.
    there.or_else(|| find(code, message).map(|known| (known, Counts::No)))
}

/// The failure that a code of Salesforce's stands for, with what it says in its own words.
pub(super) fn failure(code: &str, message: &str) -> Failure {
    said(find(code, message), Rejected, code, message)
}

/// The failure that a code stands for at the sign-in.
pub(super) fn refused_sign_in(code: &str, message: &str) -> Failure {
    said(find_at_sign_in(code, message).map(|(known, _)| known), Unauthorized, code, message)
}

fn said(known: Option<&Known>, unknown: FailureClass, code: &str, message: &str) -> Failure {
    // Whoever answers in Salesforce's place calls it what he likes.
    let code = words(code);
    let (name, class, next_step) = known.map_or((&*code, unknown, ""), |it| (it.name, it.class, it.next_step));
    let words = words(message);
    // A summary is no sentence: a next step may follow it.
    let words = words.trim_end_matches('.');
    let summary = if words.is_empty() { format!("Salesforce answered {code}") } else { format!("{SAYS}{words}") };
    Failure::new(class, name, summary).with_next_step(next_step)
}

/// Whether a sign-in is known to be refused with this code.
pub(super) fn is_known_at_sign_in(code: &str, message: &str) -> bool {
    find_at_sign_in(code, message).is_some()
}

/// Whether a sign-in refused with this code may have counted toward a lock-out. An unknown code may have.
pub(super) fn counts(code: &str, message: &str) -> Counts {
    find_at_sign_in(code, message).map_or(Counts::Yes, |(_, counts)| counts)
}

/// A failure that Postern found out by itself, with the table's next step.
pub(super) fn own(code: &str, summary: impl Into<String>) -> Failure {
    let (class, next_step) = find(code, "").map_or((Rejected, ""), |known| (known.class, known.next_step));
    Failure::new(class, code, summary).with_next_step(next_step)
}

/// The failure of a request without an answer.
pub(super) fn lost(lost: &Lost) -> Failure {
    let code = match lost.hop {
        Hop::Dns => "unreachable_dns",
        Hop::Proxy => "unreachable_proxy",
        Hop::Connection => "unreachable",
        Hop::Tls => "unreachable_tls",
        Hop::Reply => "no_answer",
    };
    let what = match (lost.hop, lost.sent) {
        (Hop::Proxy, _) => format!("The proxy {} does not let through to Salesforce", lost.at),
        (_, Sent::No) => format!("Salesforce cannot be reached at {}", lost.at),
        (_, Sent::Perhaps) => format!("Salesforce did not answer at {}", lost.at),
    };
    let why = words(&lost.to_string());
    // What the TLS library says of bytes that are none of TLS's.
    if lost.hop == Hop::Tls && why.contains("InvalidContentType") {
        return Failure::new(Transient, code, format!("{what} (TLS): what answers there does not speak TLS"))
            .with_next_step("Check scheme and port of the address in the configuration, and what stands between.");
    }
    Failure::new(Transient, code, format!("{what} ({}): {why}", lost.hop)).with_next_step(lost.next_step())
}

/// The failure of a call that was not made, because no address can be made of what Salesforce named.
pub(super) fn no_address(path: &str) -> Failure {
    Failure::new(Transient, "no_address", format!("{NAMES}{}", words(path)))
        .with_next_step("It may pass by itself; if it stays, check `domain`, and what stands between.")
}

/// The failure of a call of which it was never told what became of it.
pub(super) fn no_answer() -> Failure {
    Failure::new(Transient, "no_answer", "Salesforce did not say what became of the call").with_next_step(table::LATER)
}

/// The failure of an answer that is not Salesforce's.
pub(super) fn strange(status: u16) -> Failure {
    match status {
        // Salesforce's own edge says so when it knows no org of this host.
        420 => Failure::new(Unauthorized, "no_such_org", "Salesforce knows no org at this host (HTTP 420)")
            .with_next_step("Check `domain`: the org may have been renamed, moved or closed."),
        300..=399 => {
            let summary = format!("the answer (HTTP {status}) leads to another address than that of Salesforce's API");
            Failure::new(Transient, REDIRECTED, summary).with_next_step(
                "The org may have moved, or what stands between wants somebody to sign in there: look at both.",
            )
        }
        413 | 414 | 431 => too_long(Transient, &format!("HTTP {status}")),
        503 => {
            Failure::new(Transient, "maintenance_page", "a page was the answer (HTTP 503): the org is being maintained")
                .with_next_step(
                    "Salesforce's status page says for how long; if the task has ended by then, submit it again.",
                )
        }
        _ => {
            let summary = format!("the answer (HTTP {status}) is not one of Salesforce's API");
            Failure::new(Transient, "strange_answer", summary).with_next_step(
                "It may be a maintenance page or a proxy's; look at what stands between, and try again.",
            )
        }
    }
}

/// Whether the service account is signed in, and may not do this: to one record, or to any. Asked again, it would be refused again.
pub(super) fn says_not_permitted(failure: &Failure) -> bool {
    failure.code.as_str().starts_with("INSUFFICIENT_ACCESS")
}

/// Whether a failure says that the org is at another host, or may be.
pub(super) fn says_moved(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), REDIRECTED | "no_such_org" | "unreachable_dns" | "ORG_NOT_OWNED_BY_INSTANCE")
}

/// The failure of an answer that would take more memory than one may.
pub(super) fn too_large() -> Failure {
    let summary = "the answer is larger than any that Salesforce gives to what was asked";
    Failure::new(Transient, "answer_too_large", summary).with_next_step(
        "If it stays, look at what stands between; an export or import can be asked for fewer attributes at once.",
    )
}

/// Whether a refusal says that the call was too long.
pub(super) fn says_too_long(status: u16, message: &str) -> bool {
    matches!(status, 413 | 414 | 431) || bounded(message).to_lowercase().contains("uri too long")
}

/// The failure of a call that is longer than the org, or what stands between, takes.
pub(super) fn too_long(class: FailureClass, said: &str) -> Failure {
    Failure::new(class, TOO_LONG, format!("{TAKES}{}", words(said)))
        .with_next_step("Look for a proxy that bounds the length of calls, and let it pass longer ones.")
}

/// Whether a refusal with this code proves that nothing was done. With 502 and 504 a gateway speaks, of a server that
/// may be at work.
pub(super) fn says_not_done(status: u16, code: &str) -> bool {
    match status {
        300..=499 => !BROKE_DOWN.contains(&code),
        500 | 503 => TURNED_AWAY.contains(&code),
        _ => false,
    }
}

/// Whether the org takes no writes for a while.
pub(super) fn says_read_only(code: &str) -> bool {
    READ_ONLY.contains(&code)
}

/// Whether what a row was refused with may have passed within seconds. A server that broke down at a row may do so whenever it
/// comes to it.
pub(super) fn may_pass(code: &str) -> bool {
    TURNED_AWAY.contains(&code) && is_retryable(&failure(code, ""))
}

/// Whether the org takes no bulk jobs, or no more for now: what one would do can be done in calls.
pub(super) fn takes_no_jobs(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "FEATURENOTENABLED" | "EXCEEDEDQUOTA")
}

/// Whether the org has no bulk jobs at all.
pub(super) fn has_no_jobs(failure: &Failure) -> bool {
    failure.code.as_str() == "FEATURENOTENABLED"
}

/// Whether the account is not let to list the org's bulk jobs, to which another attempt would change nothing.
pub(super) fn lists_no_jobs(failure: &Failure) -> bool {
    let refusals = ["INVALIDUSER", "FUNCTIONALITY_NOT_ENABLED", "NOT_FOUND", "METHOD_NOT_ALLOWED"];
    says_not_permitted(failure) || refusals.contains(&failure.code.as_str())
}

/// Whether the org says that there is no such job. Whatever else it refuses says nothing of one that may be under way.
pub(super) fn says_job_is_gone(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "NOT_FOUND" | "INVALIDJOB")
}

/// Whether the org tells the account nothing of a job, because another one made it, or for want of a permission.
pub(super) fn says_job_is_anothers(failure: &Failure) -> bool {
    failure.code.as_str() == "INVALIDUSER"
}

/// Whether what led through the pages of a query is gone: the query can be made anew.
pub(super) fn says_cursor_is_closed(failure: &Failure) -> bool {
    failure.code.as_str() == "INVALID_QUERY_LOCATOR"
}

/// Whether the same may be taken in smaller pieces.
pub(super) fn is_too_long(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), TOO_LONG | "QUERY_TOO_COMPLICATED")
}

/// Whether another attempt may help.
pub(super) fn is_retryable(failure: &Failure) -> bool {
    matches!(failure.class.known(), Some(Transient | RateLimited | Interrupted))
}

/// Whether Salesforce's reader of a call stumbled over a value in it, or over a field, before it looked at any record.
pub(super) fn is_about_a_value(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "JSON_PARSER_ERROR" | "INVALID_FIELD")
}

/// Whether the same call may help within the same attempt.
pub(super) fn is_glitch(failure: &Failure) -> bool {
    failure.class.known() == Some(Transient)
}

/// Salesforce's words in one line, without its HTML, bounded, and without any secret that they repeat.
pub(super) fn words(message: &str) -> String {
    // A summary has room for so many, and for what is said around them.
    cut(in_one_line(bounded(message)), MAX_WORDS)
}

/// The first characters of a text, in twice as many bytes at most, and the sign that there were more.
pub(super) fn cut(mut text: String, most: usize) -> String {
    let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end).min(2 * most);
    if end < text.len() {
        text.truncate(text.floor_char_boundary(end));
        text.push_str(CUT);
    }
    text
}

/// What a summary says in our own words, and the words of others behind those.
pub(super) fn ours_and_theirs(summary: &str) -> (&str, &str) {
    let ours = [SAYS, TAKES, NAMES].into_iter().find(|ours| summary.starts_with(ours));
    summary.split_at(ours.map_or(summary.len(), str::len))
}

fn in_one_line(message: &str) -> String {
    let text = redacted(message).replace("<br>", " ").replace("<br/>", " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same failure without words of others.
pub(super) fn kept_back(failure: Failure) -> Failure {
    let (ours, _) = ours_and_theirs(failure.summary.as_str());
    let summary = Text::clipped(format!("{ours}{KEPT_BACK}"));
    Failure { summary, ..failure }
}

/// Whether words of others may tell this value, which Salesforce trims and puts into another case before it quotes it, often as
/// the last thing it says: then the full stop is off that its sentence ended with, or the value. What was cut off may have left
/// a piece of it.
pub(super) fn may_tell(said: &str, value: &str) -> bool {
    let as_quoted = in_one_line(value);
    let as_quoted = as_quoted.trim_end_matches('.');
    let is_another = !as_quoted.is_empty() && as_quoted != value;
    said.contains(CUT) || tells(said, value) || (is_another && tells(said, as_quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_with_several_meanings_is_told_apart_by_its_message() {
        let approved = refused_sign_in("invalid_grant", "user hasn't approved this consumer");
        assert!(approved.next_step.contains("Pre-authorize"));
        let vague = refused_sign_in("invalid_grant", "authentication failure");
        assert!(vague.next_step.contains("Login History"));
        assert_eq!(counts("invalid_grant", "authentication failure"), Counts::Yes);
        assert_eq!(counts("invalid_grant", "Audience validation failed"), Counts::No);
        assert_eq!(refused_sign_in("INVALID_LOGIN", "Login Rate Exceeded").class.known(), Some(RateLimited));
        assert_eq!(refused_sign_in("INSUFFICIENT_ACCESS", "").code.as_str(), "api_auth_not_allowed");
        assert_eq!(failure("INSUFFICIENT_ACCESS", "").code.as_str(), "INSUFFICIENT_ACCESS");
    }

    /// Feature B19.
    #[test]
    fn every_failure_of_the_table_is_in_the_administrators_guide() {
        let guide = include_str!("../../../../docs/salesforce.md");
        let lines = SIGN_IN.iter().map(|(known, _)| known).chain(TABLE);
        let absent: Vec<&str> = lines.map(|it| it.name).filter(|it| !guide.contains(&format!("`{it}`"))).collect();
        assert_eq!(absent, [""; 0], "docs/salesforce.md does not say what to do about these");
    }

    /// Otherwise the second line would never be found.
    #[test]
    fn lines_with_a_message_come_before_those_without() {
        for table in [SIGN_IN.iter().map(|(known, _)| known).collect(), TABLE.iter().collect::<Vec<_>>()] {
            for (index, line) in table.iter().enumerate() {
                let mut later = table.iter().skip(index + 1);
                assert!(!(line.with.is_empty() && later.any(|it| it.code == line.code)), "{}", line.code);
            }
        }
    }

    #[test]
    fn the_procedures_that_identity_suites_recommend_are_there() {
        for code in ["INVALID_LOGIN", "LOGIN_MUST_USE_SECURITY_TOKEN"] {
            let step = refused_sign_in(code, "x").next_step.to_lowercase();
            assert!(step.contains("obtain") && step.contains("security"), "{code}: {step}");
        }
    }

    #[test]
    fn a_code_that_is_none_tells_no_secret() {
        let _held = crate::redaction::in_use(b"told-as-a-code");
        let failure = refused_sign_in("of told-as-a-code", "");
        assert!(!format!("{failure:?}").contains("told-as-a-code"), "{failure:?}");
    }

    #[test]
    fn salesforces_words_become_one_line() {
        let failure = failure("DUPLICATE_USERNAME", "Duplicate Username.<br>The username \n already exists");
        assert_eq!(failure.summary.as_str(), "Salesforce: Duplicate Username. The username already exists");
        for character in ["x", "ä", "語"] {
            let words = words(&character.repeat(1_000));
            assert!(words.ends_with(CUT) && words.chars().count() <= MAX_WORDS + CUT.chars().count(), "{words}");
            assert!(super::failure("X", &words).summary.ends_with(CUT), "{words}");
        }
        assert_eq!(words(&"x".repeat(MAX_WORDS)).len(), MAX_WORDS);
    }

    #[test]
    fn a_value_is_known_in_words_however_they_quote_it() {
        let long = "bad value: x ".repeat(1_000);
        for (said, value, expected) in [
            ("bad value: two words", " Two  Words\n", true),
            ("bad value: a b", "a<br>b", true),
            ("bad value: 5Q7", "5q7", true),
            ("bad value: dHdvICBXb3Jkcw", "two  Words", true),
            ("bad value: ΝΙΚΟΣ.Department", "ΝΙΚΟΣ", true),
            ("bad value: Νίκος", "ΝΊΚΟΣ", true),
            ("bad value: νίκοσ, or another", "Νίκος", true),
            ("bad value: x", &long, false),
            ("bad value: Acme Inc", "Acme Inc.", true),
            ("bad value: x", "...", false),
            ("bad value", "  ", false),
            ("bad value", "good", false),
            ("bad value: a… (cut)", "of another beginning", true),
            ("bad value: a…", "of another beginning", false),
        ] {
            assert_eq!(may_tell(said, value), expected, "{said}: {value}");
        }
    }

    /// What others said is looked through, and nothing that is said around it.
    #[test]
    fn words_of_others_are_told_from_our_own() {
        for failure in [failure("X", "theirs"), too_long(Rejected, "theirs"), no_address("theirs")] {
            assert_eq!(ours_and_theirs(failure.summary.as_str()).1, "theirs");
        }
        for failure in [failure("X", ""), no_answer(), strange(420), strange(500), strange(503), too_large()] {
            assert_eq!(ours_and_theirs(failure.summary.as_str()), (failure.summary.as_str(), ""));
        }
    }

    #[test]
    fn f64_a_message_that_is_too_long_is_replaced_and_not_looked_through() {
        let longest = "uri too long ".repeat(LONGEST_MESSAGE / 13);
        assert!(failure("X", &longest).summary.starts_with("Salesforce: uri too long") && says_too_long(400, &longest));
        let longer = "uri too long ".repeat(LONGEST_MESSAGE / 13 + 1);
        assert_eq!(failure("X", &longer).summary.as_str(), format!("Salesforce: {NONE_OF_ITS}"));
        assert!(!says_too_long(400, &longer));
        let (ours, theirs) = ("security token", "x".repeat(LONGEST_MESSAGE));
        for find in [failure, refused_sign_in] {
            assert!(find("X", &format!("{ours}{theirs}")).summary.ends_with(NONE_OF_ITS));
        }
    }

    #[test]
    fn an_unknown_code_is_a_refusal_that_may_count() {
        let failure = failure("NEVER_SEEN", "");
        assert_eq!(failure.class.known(), Some(Rejected));
        assert_eq!(failure.summary.as_str(), "Salesforce answered NEVER_SEEN");
        assert_eq!(counts("NEVER_SEEN", ""), Counts::Yes);
    }
}
