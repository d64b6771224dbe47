//! Bytes that no peer of ours would send: an error or a value within limits, never a panic, never much work.

use postern_protocol::bounded::{Bytes, List, Text};
use postern_protocol::codec::{self, CodecError};
use postern_protocol::enrollment::{FromApplicant, FromAuthority};
use postern_protocol::frame::{FrameError, HEADER, MAX_FRAME};
use postern_protocol::message::v1::{self, Extension, unknown_critical};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::{TaskKind, TaskOutput, TaskRequest};

use crate::golden;
use crate::samples::{self, Content};

/// Decodes in every direction. What is understood must be writable again, within the limit, as the same bytes.
fn try_everything(bytes: &[u8]) {
    let again = [
        FromMember::decode(bytes).ok().map(|frame| frame.encode()),
        FromController::decode(bytes).ok().map(|frame| frame.encode()),
        FromApplicant::decode(bytes).ok().map(|frame| frame.encode()),
        FromAuthority::decode(bytes).ok().map(|frame| frame.encode()),
    ];
    for encoded in again.into_iter().flatten() {
        let encoded = encoded.unwrap();
        assert!(encoded.len() <= MAX_FRAME);
        // One value, one encoding: two spellings of a frame would make a hash of it worthless.
        assert_eq!(encoded, bytes);
    }
}

/// The same for a request or an output of `kind`.
fn try_task(kind: u16, bytes: &[u8]) {
    if let Ok(request) = TaskRequest::decode(kind, TaskRequest::REV, bytes) {
        assert_eq!(request.encode().unwrap(), bytes);
    }
    for kind in TaskKind::ALL {
        if let Ok(output) = TaskOutput::decode(*kind, bytes) {
            assert_eq!(output.encode().unwrap(), bytes);
        }
    }
}

/// Puts a true length into a frame's header, so that the body is looked at and not its length.
fn mend_length(frame: &mut [u8]) {
    if let Some(length) = frame.len().checked_sub(HEADER) {
        frame[4..HEADER].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
    }
}

#[test]
fn a_cut_frame_is_an_error() {
    for (sample, golden) in golden::frames() {
        for length in 0..golden.len() {
            let mut cut = golden[..length].to_vec();
            assert!(FromMember::decode(&cut).is_err(), "{} cut to {length}", sample.file);
            try_everything(&cut);
            // A body that ends early must be noticed without the help of the header.
            mend_length(&mut cut);
            assert!(FromMember::decode(&cut).is_err(), "{} cut to {length}", sample.file);
            assert!(FromController::decode(&cut).is_err(), "{} cut to {length}", sample.file);
            try_everything(&cut);
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_a_value_within_limits() {
    for (_, golden) in golden::frames() {
        for bit in 0..golden.len() * 8 {
            let mut flipped = golden.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            try_everything(&flipped);
        }
    }
}

#[test]
fn a_flipped_or_cut_request_or_output_is_an_error_or_a_value_within_limits() {
    for sample in samples::all() {
        let kind = match &sample.content {
            Content::Request(request) => request.kind(),
            Content::Output(output) => output.kind(),
            Content::Message { .. } | Content::Applicant(_) | Content::Authority(_) => continue,
        };
        let (kind, golden) = (postern_protocol::code::CodeSet::code(kind), golden::bytes(&sample));
        for length in 0..golden.len() {
            try_task(kind, &golden[..length]);
        }
        for bit in 0..golden.len() * 8 {
            let mut flipped = golden.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            try_task(kind, &flipped);
        }
    }
}

#[test]
fn f54_a_count_of_four_billion_anywhere_is_an_error_or_a_value_within_limits() {
    for (_, golden) in golden::frames() {
        for at in HEADER..golden.len().saturating_sub(3) {
            let mut bomb = golden.clone();
            bomb[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
            try_everything(&bomb);
        }
    }
}

/// Take the check out of `decode_count` in `protocol/src/bounded.rs` and this fails, after four billion items of no
/// bytes each.
#[test]
fn f54_a_count_beyond_its_limit_is_refused_before_anything_is_made() {
    let bomb = u32::MAX.to_le_bytes();
    assert!(matches!(codec::decode::<List<(), 8>>(&bomb), Err(CodecError::Malformed { .. })));
    assert!(matches!(codec::decode::<List<u64, 8>>(&bomb), Err(CodecError::Malformed { .. })));
    assert!(matches!(codec::decode::<Text<8>>(&bomb), Err(CodecError::Malformed { .. })));
    assert!(matches!(codec::decode::<Bytes<8>>(&bomb), Err(CodecError::Malformed { .. })));
    // Within the type's limit, beyond what came.
    let promise = 65_536_u32.to_le_bytes();
    assert!(matches!(codec::decode::<Bytes<65_536>>(&promise), Err(CodecError::Malformed { .. })));
}

#[test]
fn f53_a_frame_of_the_greatest_size_and_one_byte_more() {
    for length in [MAX_FRAME, MAX_FRAME + 1, 4 * MAX_FRAME] {
        for (_, golden) in golden::frames() {
            let mut large = golden;
            large.resize(length, 0);
            mend_length(&mut large);
            assert!(FromMember::decode(&large).is_err());
            assert!(FromController::decode(&large).is_err());
        }
    }
}

#[test]
fn f55_a_frame_that_is_not_known_is_named_by_tag_and_revision() {
    let (_, golden) = golden::frames().into_iter().find(|(sample, _)| sample.name == "Ping").unwrap();
    let mut other = golden.clone();
    other[..2].copy_from_slice(&0xfffe_u16.to_le_bytes());
    assert!(matches!(FromMember::decode(&other), Err(FrameError::Unknown { tag: 0xfffe, rev: 1 })));
    let mut newer = golden;
    newer[2..4].copy_from_slice(&2_u16.to_le_bytes());
    assert!(matches!(FromMember::decode(&newer), Err(FrameError::Unknown { tag: 5, rev: 2 })));
    assert!(matches!(FromController::decode(&newer), Err(FrameError::Unknown { tag: 5, rev: 2 })));
}

#[test]
fn a_frame_of_the_other_direction_is_not_known() {
    for (sample, golden) in golden::frames() {
        let Content::Message { member, controller } = &sample.content else { continue };
        if member.is_none() {
            assert!(matches!(FromMember::decode(&golden), Err(FrameError::Unknown { .. })), "{}", sample.name);
        }
        if controller.is_none() {
            assert!(matches!(FromController::decode(&golden), Err(FrameError::Unknown { .. })), "{}", sample.name);
        }
    }
}

#[test]
fn f55_bytes_behind_a_body_are_an_error() {
    for (sample, golden) in golden::frames() {
        let mut longer = golden;
        longer.push(0);
        let wrong = [FromMember::decode(&longer).err(), FromController::decode(&longer).err()];
        assert!(wrong.iter().all(|error| matches!(error, Some(FrameError::WrongLength { .. }))), "{}", sample.name);
        mend_length(&mut longer);
        let trailing = |error: FrameError| {
            matches!(error, FrameError::Body { source: CodecError::TrailingBytes { count: 1 }, .. })
        };
        let error = match &sample.content {
            Content::Message { member: Some(_), .. } => FromMember::decode(&longer).unwrap_err(),
            Content::Message { .. } => FromController::decode(&longer).unwrap_err(),
            Content::Applicant(_) => FromApplicant::decode(&longer).unwrap_err(),
            Content::Authority(_) => FromAuthority::decode(&longer).unwrap_err(),
            Content::Request(_) | Content::Output(_) => continue,
        };
        assert!(trailing(error), "{}", sample.name);
    }
}

#[test]
fn f55_an_unknown_extension_is_skipped_unless_it_is_critical() {
    let extension = |kind, critical| Extension { kind, critical, bytes: Bytes::default() };
    let skipped = List::new(vec![extension(7, false), extension(8, false)]).unwrap();
    assert_eq!(unknown_critical(&skipped), None);
    let refused = List::new(vec![extension(7, false), extension(9, true), extension(10, true)]).unwrap();
    assert_eq!(unknown_critical(&refused), Some(9));

    let Content::Message { controller: Some(FromController::Offer(offer)), .. } = samples::named("Offer").content
    else {
        panic!("the sample of an offer is no offer");
    };
    let with_both = v1::Offer { ext: refused, ..offer };
    let bytes = FromController::from(with_both.clone()).encode().unwrap();
    assert_eq!(FromController::decode(&bytes).unwrap(), with_both.into());
}

#[test]
fn f57_a_code_of_a_later_version_is_read_and_not_known() {
    let Content::Message { controller: Some(frame), .. } = samples::named("MemberState").content else {
        panic!("the sample of a member's state is none");
    };
    let mut bytes = frame.encode().unwrap();
    bytes[HEADER..HEADER + 2].copy_from_slice(&999_u16.to_le_bytes());
    let FromController::MemberState(state) = FromController::decode(&bytes).unwrap() else {
        panic!("another frame came out");
    };
    assert_eq!((state.state.known(), state.state.number()), (None, 999));
}

/// A `bool` or an option tag is 0 or 1: 2 would be a second spelling of the same frame.
#[test]
fn a_bool_or_an_option_that_is_neither_is_an_error() {
    assert!(codec::decode::<bool>(&[2]).is_err());
    assert!(codec::decode::<Option<u8>>(&[2, 0]).is_err());
    assert!(codec::decode::<Option<u8>>(&[0, 0]).is_err());
}
