//! Lists come in pages.

use data_encoding::BASE64URL_NOPAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;

/// The most of one page: a task with its output has at most some tens of KiB.
pub const MAX_LIMIT: usize = 200;
const USUAL_LIMIT: usize = 50;
/// Longer than any cursor that was ever given out: the longest filter and the longest key.
const MAX_CURSOR: usize = 512;

/// A part of a list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Page_of_{T}")]
pub struct Page<T> {
    /// What is in it. It may be less than was asked for, even nothing, although there is more.
    pub items: Vec<T>,
    /// What to ask for next, as `cursor`; nothing when this is the end.
    pub next: Option<String>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(super) struct Wanted {
    /// At most so many, 1 to 200; 50 if it is not said.
    pub(super) limit: Option<u64>,
    /// Where to go on: `next` of the page before, of the same list with the same filters.
    pub(super) cursor: Option<String>,
}

/// A part of a certain list.
///
/// A cursor names the last of what was shown, so that it never grows stale: what is gone is passed over, and what came in
/// between stands where it belongs.
#[derive(Debug, Clone)]
pub(super) struct Part<K> {
    list: String,
    pub(super) limit: usize,
    /// The last that was shown.
    pub(super) after: Option<K>,
}

impl<K: std::str::FromStr + ToString> Part<K> {
    /// Of the list that is called so, its filters included.
    pub(super) fn of(list: impl Into<String>, wanted: Wanted) -> Result<Self, Problem> {
        let list = list.into();
        let limit = match wanted.limit {
            None => Some(USUAL_LIMIT),
            Some(limit) => usize::try_from(limit).ok().filter(|it| (1..=MAX_LIMIT).contains(it)),
        };
        let limit = limit.ok_or_else(|| Problem::field("limit", format!("`limit` has to be 1 to {MAX_LIMIT}")))?;
        let after = wanted.cursor.map(|cursor| read(&cursor, &list).ok_or_else(strange)).transpose()?;
        Ok(Self { list, limit, after })
    }

    /// The cursor that goes on behind this.
    pub(super) fn cursor(&self, last: &K) -> String {
        BASE64URL_NOPAD.encode(format!("{}\n{}", self.list, last.to_string()).as_bytes())
    }

    /// The part of what is in the order of its keys.
    pub(super) fn cut<T>(&self, all: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Page<T>
    where
        K: Ord,
    {
        let mut rest = all.skip_while(|it| self.after.as_ref().is_some_and(|after| key(it) <= *after));
        let items: Vec<T> = rest.by_ref().take(self.limit).collect();
        let next = rest.next().and(items.last()).map(|it| self.cursor(&key(it)));
        Page { items, next }
    }
}

fn read<K: std::str::FromStr>(cursor: &str, list: &str) -> Option<K> {
    let bytes = BASE64URL_NOPAD.decode(Some(cursor).filter(|it| it.len() <= MAX_CURSOR)?.as_bytes()).ok()?;
    let (of, key) = std::str::from_utf8(&bytes).ok()?.rsplit_once('\n')?;
    key.parse().ok().filter(|_| of == list)
}

fn strange() -> Problem {
    Problem::field(
        "cursor",
        "`cursor` has to be the `next` of the page before, of the same list with the same filters: without one the list \
         begins anew",
    )
}

impl<T> Page<T> {
    /// The same page of something else.
    pub(super) fn map<U>(self, with: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(with).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(list: &str, limit: Option<u64>, cursor: Option<&str>) -> Result<Part<u64>, Problem> {
        Part::of(list, Wanted { limit, cursor: cursor.map(str::to_owned) })
    }

    fn field(part: Result<Part<u64>, Problem>) -> Option<String> {
        part.unwrap_err().field
    }

    /// Say that there is more when the last page is full, and the next one is empty.
    #[test]
    fn pages_together_are_the_list_whatever_comes_and_goes_between_them() {
        let all: Vec<u64> = (0..10).collect();
        for limit in [1, 3, 5, 10, 200] {
            let (mut shown, mut cursor) = (Vec::new(), None);
            loop {
                let page = part("it", Some(limit), cursor.as_deref()).unwrap().cut(all.iter().copied(), |it| *it);
                assert!(!page.items.is_empty());
                shown.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(shown, all, "{limit}");
        }
        let first = part("it", Some(3), None).unwrap().cut(all.iter().copied(), |it| *it);
        let others = [0, 1, 3, 9];
        let next = part("it", None, first.next.as_deref()).unwrap().cut(others.into_iter(), |it| *it);
        assert_eq!((next.items, next.next), (vec![3, 9], None), "the last that was shown is gone");
    }

    #[test]
    fn a_limit_out_of_bounds_and_a_cursor_of_another_list_are_refused_by_their_names() {
        assert_eq!(field(part("it", Some(0), None)).as_deref(), Some("limit"));
        assert_eq!(field(part("it", Some(201), None)).as_deref(), Some("limit"));
        let mine = part("it", None, None).unwrap().cursor(&7);
        assert_eq!(part("it", None, Some(&mine)).unwrap().after, Some(7));
        let long = "A".repeat(MAX_CURSOR + 1);
        for strange in ["", "7", "%", &mine[1..], &format!("{mine}A"), &long] {
            assert_eq!(field(part("it", None, Some(strange))).as_deref(), Some("cursor"), "{strange}");
        }
        assert_eq!(field(part("it of another", None, Some(&mine))).as_deref(), Some("cursor"));
    }
}
