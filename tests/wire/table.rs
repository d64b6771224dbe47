//! The numbers of frames: each means one thing.

use std::collections::{BTreeMap, BTreeSet};

use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::version::Revisions;

use crate::golden;
use crate::samples::Content;

const DIRECTIONS: [&[Revisions]; 4] =
    [FromMember::REVISIONS, FromController::REVISIONS, FromApplicant::REVISIONS, FromAuthority::REVISIONS];

/// Every frame of every direction.
pub(crate) fn every_frame() -> impl Iterator<Item = Revisions> {
    DIRECTIONS.into_iter().flatten().copied()
}

#[test]
fn a_tag_stands_once_in_a_direction() {
    for direction in DIRECTIONS {
        let tags: BTreeSet<u16> = direction.iter().map(|it| it.tag).collect();
        assert_eq!(tags.len(), direction.len());
    }
}

/// Give `Drain` the tag of `Cancel` and this fails.
#[test]
fn a_tag_in_both_directions_is_the_same_frame() {
    let tags = |table: &[Revisions]| table.iter().map(|it| it.tag).collect::<BTreeSet<_>>();
    let shared: BTreeSet<u16> = &tags(FromMember::REVISIONS) & &tags(FromController::REVISIONS);
    let mut seen = BTreeSet::new();
    for (sample, bytes) in golden::frames() {
        let tag = u16::from_le_bytes([bytes[0], bytes[1]]);
        if !shared.contains(&tag) {
            continue;
        }
        let (member, controller) = (FromMember::decode(&bytes).unwrap(), FromController::decode(&bytes).unwrap());
        assert_eq!(member.name(), controller.name(), "tag {tag}");
        assert_eq!(member.encode().unwrap(), controller.encode().unwrap(), "tag {tag}");
        let Content::Message { member: Some(_), controller: Some(_) } = sample.content else {
            panic!("{} goes both ways and its sample does not", sample.name);
        };
        seen.insert(tag);
    }
    assert_eq!(seen, shared);
}

#[test]
fn a_tag_of_enrollment_is_none_of_a_session() {
    let session: BTreeSet<u16> = DIRECTIONS[..2].iter().copied().flatten().map(|it| it.tag).collect();
    let enrollment: BTreeSet<u16> = DIRECTIONS[2..].iter().copied().flatten().map(|it| it.tag).collect();
    assert!(session.is_disjoint(&enrollment));
    assert!(enrollment.iter().all(|tag| (60..=69).contains(tag)));
    assert!(session.iter().all(|tag| (1..=59).contains(tag)));
}

#[test]
fn a_frame_has_one_name() {
    let mut names = BTreeMap::new();
    for (sample, bytes) in golden::frames() {
        let tag = u16::from_le_bytes([bytes[0], bytes[1]]);
        let before = names.insert(tag, sample.name.clone());
        assert!(before.is_none_or(|name| name == sample.name), "tag {tag}");
    }
}
