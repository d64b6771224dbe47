//! Texts without secrets: whatever others say may repeat what they were sent, and whatever is logged may quote it.
//!
//! Whoever uses a secret holds it [`in_use`] for as long; what leaves an attempt, and every line of the log, goes through
//! [`redacted`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use postern_protocol::Failure;
use postern_protocol::bounded::Text;
use zeroize::Zeroizing;

/// What stands in place of a secret.
const MARK: &str = "***";
/// What is shorter than this is in too many texts by chance, and nothing that is worth keeping.
const SHORTEST: usize = 5;

/// Longer than any words about a request, and looked through for a few secrets within a millisecond or two.
const LOOKED_THROUGH: usize = 64 * 1024;

/// The secrets in use.
static IN_USE: LazyLock<Mutex<BTreeMap<u64, Forms>>> = LazyLock::new(Mutex::default);
/// Tells two uses of one secret apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn all() -> MutexGuard<'static, BTreeMap<u64, Forms>> {
    IN_USE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a secret out of every text until it is dropped.
#[derive(Debug)]
#[must_use = "the secret is kept out of texts only until this is dropped"]
pub struct InUse(u64);

/// Keeps a secret out of every text for as long as the result lives.
pub fn in_use(secret: &[u8]) -> InUse {
    let (number, forms) = (NEXT.fetch_add(1, Ordering::Relaxed), Forms::of(secret));
    all().insert(number, forms);
    InUse(number)
}

/// Keeps a password out of texts, alone and in the form in which HTTP's Basic authentication sends it with a name. That form,
/// and what both live for.
pub fn basic_in_use(name: &str, password: &str) -> (Zeroizing<String>, [InUse; 2]) {
    let pair = Zeroizing::new(format!("{name}:{password}"));
    let sent = Zeroizing::new(BASE64.encode(pair.as_bytes()));
    let both = [password, &sent].map(|secret| in_use(secret.as_bytes()));
    (sent, both)
}

impl Drop for InUse {
    fn drop(&mut self) {
        all().remove(&self.0);
    }
}

/// The text without the secrets that are in use.
pub fn redacted(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    // The longest first: a secret may be a part of another one.
    let all = all();
    let forms = all.values().flat_map(|forms| &forms.0).map(|form| form.as_str());
    let mut found: Vec<&str> = forms.filter(|form| text.contains(form)).collect();
    found.sort_by_key(|form| std::cmp::Reverse(form.len()));
    for form in found {
        text = Cow::Owned(text.replace(form, MARK));
    }
    text
}

/// Whether what others sent tells a secret that is in use. What is too large to be looked through is taken to.
pub fn is_told(bytes: &[u8]) -> bool {
    bytes.len() > LOOKED_THROUGH || matches!(redacted(&String::from_utf8_lossy(bytes)), Cow::Owned(_))
}

/// A failure that tells no secret that is in use.
pub fn failure(mut failure: Failure) -> Failure {
    failure.code = Text::clipped(redacted(failure.code.as_str()).into_owned());
    failure.summary = Text::clipped(redacted(failure.summary.as_str()).into_owned());
    failure.next_step = Text::clipped(redacted(failure.next_step.as_str()).into_owned());
    failure
}

/// Whether a text tells this secret, in whatever case. It need not be in use.
pub fn tells(text: &str, secret: &str) -> bool {
    let text = folded(text);
    // Folding leaves a third of a text at the least, and no form of a secret is shorter than itself.
    if secret.len() > 3 * text.len() {
        return false;
    }
    let tells = |form: &str| text.contains(&folded(form));
    tells(secret) || Forms::of(secret.as_bytes()).0.iter().any(|form| tells(form))
}

/// A text in lower case, letter by letter: in a whole word a letter may hang on those around it, and what is a part of a text would
/// not be one of it any more.
fn folded(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.map(|letter| if letter == 'ς' { 'σ' } else { letter }).collect()
}

/// What a secret looks like in a text.
struct Forms(Vec<Zeroizing<String>>);

impl Forms {
    fn of(secret: &[u8]) -> Self {
        if secret.len() < SHORTEST {
            return Self(Vec::new());
        }
        let mut forms = vec![HEXLOWER.encode(secret), HEXUPPER.encode(secret)];
        forms.extend(in_base64(secret));
        if let Ok(text) = std::str::from_utf8(secret) {
            let url: String = url::form_urlencoded::byte_serialize(secret).collect();
            forms.push(url.replace('+', "%20"));
            forms.push(url);
            let json = in_json(text);
            // What is told with `Debug`, or quoted from an answer, in a line of the log that is JSON.
            let twice = in_json(&json);
            let xml = [quick_xml::escape::escape(text), quick_xml::escape::partial_escape(text)].map(Cow::into_owned);
            // A body that is quoted in base64 has them as they stand in it.
            for body in [json, twice].into_iter().chain(xml) {
                forms.extend(in_base64(body.as_bytes()));
                forms.push(body);
            }
            forms.push(text.to_owned());
        }
        forms.sort_unstable();
        forms.dedup();
        Self(forms.into_iter().map(Zeroizing::new).collect())
    }
}

/// What stands between the quotation marks of a text in JSON.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// What stands in base64 for these bytes, alone or with any before them and behind them: it looks different for each place in a
/// group of three, and a character that hangs on a neighbour is cut off.
fn in_base64(bytes: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for encoding in [BASE64, BASE64URL] {
        forms.push(encoding.encode(bytes).trim_end_matches('=').to_owned());
        for before in [&[][..], &[0], &[0, 0]] {
            let all = Zeroizing::new([before, bytes].concat());
            let text = Zeroizing::new(encoding.encode(&all));
            forms.extend(text.get((before.len() * 8).div_ceil(6)..all.len() * 8 / 6).map(str::to_owned));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Look through whatever comes, and a host that answers with megabytes holds a thread for each.
    #[test]
    fn what_is_too_large_to_be_looked_through_is_taken_to_tell_a_secret() {
        assert!(!is_told(&vec![b'y'; LOOKED_THROUGH]));
        assert!(is_told(&vec![b'y'; LOOKED_THROUGH + 1]));
    }

    /// Texts that no other test has.
    const SECRET: &str = r#"Re<d>&"acted"\wörd %+"#;

    #[test]
    fn a_secret_in_use_is_kept_out_of_texts_in_every_form() {
        let in_use = in_use(SECRET.as_bytes());
        let json = serde_json::json!({ "password": SECRET }).to_string();
        let xml = quick_xml::escape::escape(SECRET).into_owned();
        let url: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        for (text, told) in [
            (format!("{SECRET} is no good, {SECRET}"), "*** is no good, ***"),
            (
                serde_json::json!({ "fields": { "answer": json } }).to_string(),
                r#"{"fields":{"answer":"{\"password\":\"***\"}"}}"#,
            ),
            (serde_json::json!({ "message": format!("{SECRET:?}") }).to_string(), r#"{"message":"\"***\""}"#),
            (json, r#"{"password":"***"}"#),
            (format!("<password>{xml}</password>"), "<password>***</password>"),
            (format!("password={url}&x"), "password=***&x"),
            (format!("Basic {}", BASE64.encode(SECRET.as_bytes()).trim_end_matches('=')), "Basic ***"),
            (HEXUPPER.encode(SECRET.as_bytes()), "***"),
            ("nothing of it".to_owned(), "nothing of it"),
        ] {
            assert_eq!(redacted(&text), told);
        }
        drop(in_use);
        assert_eq!(redacted(SECRET), SECRET, "it is not in use any more");
    }

    /// As a gateway quotes what it was sent. Planted was the form of the secret alone.
    #[test]
    fn a_secret_in_use_is_kept_out_of_base64_wherever_it_begins_there() {
        let secret = r#"In<base>&"64"\wörd %+"#;
        let _in_use = in_use(secret.as_bytes());
        let known = [
            secret.to_owned(),
            serde_json::Value::from(secret).to_string().trim_matches('"').to_owned(),
            quick_xml::escape::partial_escape(secret).into_owned(),
        ];
        for encoding in [BASE64, BASE64URL] {
            for (written, before) in known.iter().flat_map(|it| ["", "x", "xy", "xyz"].map(|before| (it, before))) {
                for behind in ["", "z", "\"}", "***"] {
                    let text = encoding.encode(format!("{before}{written}{behind}").as_bytes());
                    let told = redacted(&text).into_owned();
                    // What is left of it hangs on what is around it.
                    assert!(told.contains(MARK) && told.len() <= 3 + 12, "{text}: {told}");
                }
            }
        }
    }

    /// Only the first and the last mark are JSON's own.
    #[test]
    fn quotation_marks_at_the_ends_of_a_secret_are_its_own() {
        let secret = "\"Marked\"";
        let _in_use = in_use(secret.as_bytes());
        assert_eq!(redacted(&serde_json::json!([secret]).to_string()), "[\"***\"]");
    }

    #[test]
    fn a_secret_is_in_use_as_long_as_anybody_uses_it() {
        let secret = "Two-Hold-This-One";
        let (one, other) = (in_use(secret.as_bytes()), in_use(secret.as_bytes()));
        drop(one);
        assert_eq!(redacted(secret), MARK);
        drop(other);
        assert_eq!(redacted(secret), secret);
    }

    #[test]
    fn a_secret_that_is_part_of_another_does_not_leave_the_rest_of_it() {
        let (_part, _whole) = (in_use(b"Part-Of-It"), in_use(b"Part-Of-It-And-The-Rest"));
        assert_eq!(redacted("Part-Of-It-And-The-Rest, Part-Of-It"), "***, ***");
    }

    /// A password of one letter would make every message unreadable.
    #[test]
    fn what_is_too_short_to_be_a_secret_stays() {
        let _in_use = in_use(b"a");
        assert_eq!(redacted("a message"), "a message");
        assert!(tells("a message", "A"));
    }

    #[test]
    fn a_failure_tells_no_secret() {
        let _in_use = in_use(b"Failing-Secret");
        let told = failure(
            Failure::new(postern_protocol::FailureClass::Rejected, "code", "Failing-Secret is no good")
                .with_next_step("try another than Failing-Secret"),
        );
        assert_eq!((told.summary.as_str(), told.next_step.as_str()), ("*** is no good", "try another than ***"));
    }
}
