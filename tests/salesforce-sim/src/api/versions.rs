//! The API versions on offer, and what happens to the others.

use serde::Serialize;

use crate::http::reply::Reply;
use crate::problem::Problem;
use crate::world::World;

/// Oldest version still served (published retirement notice).
const OLDEST: u32 = 31;
/// Newest version served.
pub(crate) const NEWEST: u32 = 68;

#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "the names are those of the wire")]
struct Version {
    label: String,
    url: String,
    version: String,
}

/// `GET /services/data`: needs no session and counts against no limit.
pub(crate) fn list(world: &mut World) -> Reply {
    world.tally.route("GET versions");
    let versions: Vec<Version> = (OLDEST..=NEWEST)
        .map(|it| Version { label: label(it), url: format!("/services/data/v{it}.0"), version: format!("{it}.0") })
        .collect();
    Reply::json(200, &versions)
}

/// Three releases a year; Spring '26 was 66.
fn label(version: u32) -> String {
    let year = (version + 1) / 3 + 4;
    match version % 3 {
        0 => format!("Spring '{year:02}"),
        1 => format!("Summer '{year:02}"),
        _ => format!("Winter '{year:02}"),
    }
}

/// Reads `v66.0`. The error is the reply for a version that is not served.
pub(crate) fn parse(segment: &str) -> Result<(u32, &str), Reply> {
    let number = segment.strip_prefix('v');
    let whole = number.and_then(|it| it.strip_suffix(".0")).and_then(|it| it.parse::<u32>().ok());
    match (whole, number) {
        (Some(whole), Some(number)) if (OLDEST..=NEWEST).contains(&whole) => Ok((whole, number)),
        (Some(7..OLDEST), _) => {
            Err(Reply::problem(410, &Problem::new("UNSUPPORTED_API_VERSION", "This API version is retired.")))
        }
        _ => Err(super::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_releases() {
        assert_eq!(label(68), "Winter '27");
        assert_eq!(label(67), "Summer '26");
        assert_eq!(label(66), "Spring '26");
        assert_eq!(label(65), "Winter '26");
        assert_eq!(label(31), "Summer '14");
    }

    #[test]
    fn versions_outside_the_range_are_gone_or_unknown() {
        assert_eq!(parse("v66.0").unwrap(), (66, "66.0"));
        assert_eq!(parse("v30.0").unwrap_err().status, 410);
        assert_eq!(parse("v99.0").unwrap_err().status, 404);
        assert_eq!(parse("x").unwrap_err().status, 404);
    }
}
