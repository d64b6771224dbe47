//! Which revision of each frame two peers use.

use bincode::{Decode, Encode};

use crate::bounded::List;

/// The revisions of one frame that a peer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Revisions {
    /// The frame's tag.
    pub tag: u16,
    /// The oldest revision.
    pub min: u16,
    /// The newest revision.
    pub max: u16,
}

/// The revisions of every frame that a peer understands.
pub type RevisionTable = List<Revisions, 128>;

/// The peer lacks a frame, or shares no revision of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer does not understand frame {tag} in any revision known here; update the older of the two programs")]
pub struct NoCommonRevision {
    /// The frame's tag.
    pub tag: u16,
}

/// Checks that `theirs` shares a revision of every frame in `ours`.
pub fn check_common(ours: &[Revisions], theirs: &[Revisions]) -> Result<(), NoCommonRevision> {
    let shares = |our: &Revisions| {
        theirs.iter().any(|their| their.tag == our.tag && their.min.max(our.min) <= their.max.min(our.max))
    };
    match ours.iter().find(|our| !shares(our)) {
        Some(our) => Err(NoCommonRevision { tag: our.tag }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f57_a_frame_the_peer_lacks_is_named() {
        let ours = [Revisions { tag: 1, min: 1, max: 2 }, Revisions { tag: 9, min: 2, max: 2 }];
        let newer = Revisions { tag: 1, min: 2, max: 3 };
        assert_eq!(check_common(&ours, &[newer]), Err(NoCommonRevision { tag: 9 }));
        assert_eq!(check_common(&ours, &[newer, Revisions { tag: 9, min: 1, max: 4 }]), Ok(()));
        assert_eq!(
            check_common(&ours, &[newer, Revisions { tag: 9, min: 1, max: 1 }]),
            Err(NoCommonRevision { tag: 9 })
        );
    }
}
