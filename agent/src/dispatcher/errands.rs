//! What the dispatcher asks of the streams, without waiting for them: they wait for whoever takes what they send.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;

use postern_protocol::StreamId;
use tokio::sync::mpsc::OwnedPermit;

use crate::streams::{Command, Streams};

/// A place among the streams' commands that is waited for.
type Turn = Pin<Box<dyn Future<Output = Option<OwnedPermit<Command>>> + Send>>;

/// Commands for the streams, in order. There is at most one to take in and one to send each payload of what is held and owed, and
/// one to forget for each that ends.
#[derive(Default)]
pub struct Errands {
    waiting: VecDeque<Command>,
    named: BTreeSet<(Way, StreamId)>,
    /// Kept from turn to turn: the link waits for places too, and whoever begins to wait anew is behind it.
    turn: Option<Turn>,
}

/// Which way a payload goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    In,
    Out,
}

fn named(command: &Command) -> Option<(Way, StreamId)> {
    if let Command::Receive(_, stream) = command {
        Some((Way::In, stream.id))
    } else if let Command::Upload(_, stream) = command {
        Some((Way::Out, stream.id))
    } else {
        None
    }
}

impl Errands {
    /// Adds one. What is asked already is not asked twice.
    pub fn add(&mut self, command: Command) {
        if let Command::Forget(streams) = &command {
            // Whatever follows is about a payload of the same name that comes anew.
            for id in streams {
                self.named.remove(&(Way::In, *id));
                self.named.remove(&(Way::Out, *id));
            }
        }
        if named(&command).is_none_or(|it| self.named.insert(it)) {
            self.waiting.push_back(command);
        }
    }

    /// Whether anything waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The session is over: what its controller announced, that of the next announces anew.
    pub fn handle_disconnected(&mut self) {
        self.waiting.retain(|command| !matches!(command, Command::Receive(..)));
        self.named.retain(|(way, _)| *way != Way::In);
    }

    /// Hands over as many as the streams have room for.
    pub fn hand_over(&mut self, streams: &Streams) {
        while !self.waiting.is_empty() {
            let Some(place) = streams.try_place() else { return };
            if let Some(command) = self.next() {
                place.send(command);
            }
        }
        // One that is held for nothing would be missed by the link.
        self.turn = None;
    }

    /// Hands the next one over, when it has its turn. Nothing is lost if it is not waited for to the end.
    pub async fn hand_over_next(&mut self, streams: &Streams) {
        let turn = self.turn.get_or_insert_with(|| Box::pin(streams.clone().place()));
        let place = turn.as_mut().await;
        self.turn = None;
        match (place, self.next()) {
            (Some(place), Some(command)) => {
                place.send(command);
            }
            (Some(_), None) => (),
            // The program is stopping: what is left of payloads is looked through at the next start.
            (None, _) => self.waiting.clear(),
        }
    }

    fn next(&mut self) -> Option<Command> {
        let command = self.waiting.pop_front()?;
        if let Some(it) = named(&command) {
            self.named.remove(&it);
        }
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use postern_protocol::TaskId;
    use postern_protocol::message::v1::StreamRef;

    use super::*;

    const TASK: TaskId = TaskId::from_bytes([1; 16]);

    fn stream(n: u8) -> StreamRef {
        StreamRef { id: StreamId::from_bytes([n; 16]), length: 1, sha256: [n; 32] }
    }

    fn waiting(errands: &Errands) -> Vec<Option<Way>> {
        errands.waiting.iter().map(|command| named(command).map(|(way, _)| way)).collect()
    }

    #[test]
    fn what_is_asked_already_is_not_asked_twice_unless_it_is_forgotten_in_between() {
        let mut errands = Errands::default();
        for _ in 0..3 {
            errands.add(Command::Receive(TASK, stream(1)));
            errands.add(Command::Upload(TASK, stream(1)));
        }
        assert_eq!(waiting(&errands), [Some(Way::In), Some(Way::Out)]);
        errands.add(Command::Forget(vec![stream(1).id]));
        for _ in 0..3 {
            errands.add(Command::Receive(TASK, stream(1)));
        }
        assert_eq!(waiting(&errands), [Some(Way::In), Some(Way::Out), None, Some(Way::In)]);
    }

    /// Keep it, and the streams say to the next controller what they have of a payload that it never spoke of.
    #[test]
    fn what_one_session_announced_is_not_taken_in_in_the_next() {
        let mut errands = Errands::default();
        errands.add(Command::Receive(TASK, stream(1)));
        errands.add(Command::Upload(TASK, stream(2)));
        errands.handle_disconnected();
        assert_eq!(waiting(&errands), [Some(Way::Out)]);
        errands.add(Command::Receive(TASK, stream(1)));
        assert_eq!(waiting(&errands), [Some(Way::Out), Some(Way::In)]);
    }

    /// Begin to wait anew in each turn, and whoever else waits always comes first.
    #[tokio::test]
    async fn whoever_waits_for_a_place_keeps_its_turn() {
        let (streams, mut commands) = Streams::channel();
        while let Some(place) = streams.try_place() {
            place.send(Command::Disconnected);
        }
        let mut errands = Errands::default();
        errands.add(Command::Upload(TASK, stream(1)));
        assert_eq!(errands.hand_over_next(&streams).now_or_never(), None);
        let mut other = Box::pin(streams.clone().place());
        assert!((&mut other).now_or_never().is_none());
        commands.recv().await.unwrap();
        assert_eq!(errands.hand_over_next(&streams).now_or_never(), Some(()), "the other came first");
        assert!(errands.is_empty());
    }

    #[tokio::test]
    async fn as_many_are_handed_over_as_there_is_room_for_and_the_rest_waits() {
        let (streams, mut commands) = Streams::channel();
        let mut errands = Errands::default();
        for n in 0..200 {
            errands.add(Command::Upload(TASK, stream(n)));
        }
        errands.hand_over(&streams);
        let before = errands.waiting.len();
        assert!((1..200).contains(&before), "{before}");
        assert!(matches!(commands.recv().await, Some(Command::Upload(_, it)) if it == stream(0)));
        errands.hand_over(&streams);
        assert_eq!(errands.waiting.len(), before - 1);
        errands.add(Command::Upload(TASK, stream(0)));
        assert_eq!(errands.waiting.len(), before, "it was handed over, and may be asked again");
    }
}
