//! Do old bytes still mean the same?
//!
//! `protocol/golden` holds one file a frame and one a request and output of every task kind. A file is written once,
//! when its frame is new, and never again: its bytes are what peers of that version send. To add the files of a new
//! frame, write its sample in `samples`, run this suite with `POSTERN_WIRE_CREATE=1`, and look at what was made. A
//! file that exists is left as it is, whatever the samples say.

#![cfg(test)]

mod decoder;
mod describe;
mod golden;
mod hostile;
mod limits;
mod samples;
mod sealing;
mod table;
