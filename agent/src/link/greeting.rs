//! A `Hello` that leads to no session: what a controller says of this member.

use postern_protocol::MemberId;
use postern_protocol::message::v1::{Hello, SessionRefusal, Welcome};
use postern_protocol::session::member::Event;
use postern_protocol::session::{Ended, MemberSession};

use super::pump::{Pump, Received};
use super::{Socket, goodbye, say_goodbye_for};
use crate::clock;

/// What a controller answers to `Hello`.
#[derive(Debug)]
pub enum Greeted {
    /// It would have a session.
    Welcome(Box<Welcome>),
    /// It would not, or speaks another protocol.
    Ended(Ended),
    /// The connection broke.
    Broken(String),
}

/// Says `Hello`, hears the answer, and says goodbye without confirming: nothing of it has to be durable.
pub async fn greet(socket: Socket, member: MemberId, hello: Hello) -> Greeted {
    let mut pump = Pump::start(socket);
    let mut session = MemberSession::new(member, hello, clock::now());
    let greeted = loop {
        while let Some(frame) = session.poll_transmit() {
            pump.send(frame).await;
        }
        match session.poll_event() {
            Some(Event::Welcomed(welcome)) => break Greeted::Welcome(welcome),
            Some(Event::Ended(ended)) => break Greeted::Ended(ended),
            // Nothing else comes before it was confirmed.
            Some(Event::Message(_)) | None => (),
        }
        tokio::select! {
            received = pump.receive() => match received {
                Received::Frame(frame) => session.handle_message(*frame, clock::now()),
                Received::Unreadable(error) => {
                    session.handle_unreadable(&error);
                }
                Received::Ended(why) => break Greeted::Broken(why),
            },
            () = clock::sleep_until(Some(session.poll_timeout())) => session.handle_timeout(clock::now()),
        }
    };
    if matches!(greeted, Greeted::Welcome(_)) {
        say_goodbye_for(&pump, goodbye(SessionRefusal::Stopping, "the agent only asked how it stands")).await;
    }
    pump.stop().await;
    greeted
}
