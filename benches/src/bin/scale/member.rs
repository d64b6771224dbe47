//! A light agent at work: the real session and the real back-off, a task of the runtime instead of a process, and nothing
//! behind it that could be slow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{SinkExt as _, StreamExt as _};
use postern_agent::clock;
use postern_agent::link::{Place, Socket};
use postern_agent_core::Backoff;
use postern_benches::Failure;
use postern_controller_stub::random;
use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::v1::{
    Accept, Credit, HeldState, HeldTask, Inventory, LeaseRef, LeaseVerdict, Renew, Report, Started,
};
use postern_protocol::message::{FromController, FromMember};
use postern_protocol::outcome::{Certainty, Changed};
use postern_protocol::session::member::Event;
use postern_protocol::session::{Ended, MemberSession};
use postern_protocol::{Epoch, Outcome, ReportNo, TaskId};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::fleet::{Orders, Shared};
use crate::identity::Identity;

/// Offers that it takes before the first is reported: as many as there are, so that one agent is not measured for its room.
const ROOM: u64 = 64;

/// Lives until the fleet ends.
pub(crate) async fn live(number: usize, mut me: Identity, shared: Arc<Shared>, mut orders: watch::Receiver<Orders>) {
    let mut backoff = Backoff::default();
    loop {
        if orders.wait_for(|it| it.online > number).await.is_err() {
            return;
        }
        let told = *orders.borrow_and_update();
        let left = Session::run(number, &mut me, &shared, &mut orders, told, &mut backoff).await;
        match left {
            Left::FleetEnds => return,
            // A storm is measured as it is after quiet hours: what became of the session before that one is forgotten.
            Left::Registered => backoff = Backoff::default(),
            Left::Unregistered => (),
        }
        if orders.borrow().online > number {
            let wait = backoff.handle_failure(clock::now(), u32::from_le_bytes(random::bytes()));
            tokio::time::sleep(wait).await;
        }
    }
}

/// How a session was left.
enum Left {
    FleetEnds,
    /// After the member was registered, for whatever reason.
    Registered,
    /// There was none, or it did not come that far.
    Unregistered,
}

/// One session.
struct Session<'a> {
    number: usize,
    me: &'a mut Identity,
    shared: &'a Shared,
    socket: Socket,
    machine: MemberSession,
    /// Tasks in hand, with lease and attempt.
    held: BTreeMap<TaskId, (Epoch, u32)>,
    credit: u64,
    asked: u64,
    is_registered: bool,
}

impl Session<'_> {
    /// From the dialling to the end.
    async fn run(
        number: usize,
        me: &mut Identity,
        shared: &Shared,
        orders: &mut watch::Receiver<Orders>,
        told: Orders,
        backoff: &mut Backoff,
    ) -> Left {
        shared.dialled(number);
        let socket = match shared.dialer.dial(&me.tls, &shared.url, Place::SESSION).await {
            Ok(socket) => socket,
            Err(error) => {
                shared.turned_away(&error);
                return Left::Unregistered;
            }
        };
        let machine = MemberSession::new(me.member, me.hello(), clock::now());
        let (held, credit, asked) = (BTreeMap::new(), ROOM, 0);
        let mut session = Session { number, me, shared, socket, machine, held, credit, asked, is_registered: false };
        let ended = session.go_on(orders, told, backoff).await;
        match (ended, session.is_registered) {
            (Ok(()), _) => Left::FleetEnds,
            (Err(_), true) => {
                shared.registered.fetch_sub(1, Ordering::Relaxed);
                Left::Registered
            }
            (Err(_), false) => {
                shared.unregistered.fetch_add(1, Ordering::Relaxed);
                Left::Unregistered
            }
        }
    }

    async fn go_on(
        &mut self,
        orders: &mut watch::Receiver<Orders>,
        told: Orders,
        backoff: &mut Backoff,
    ) -> Result<(), Failure> {
        loop {
            self.settle(backoff).await?;
            tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        self.machine.handle_message(FromController::decode(&bytes)?, clock::now());
                    }
                    Some(Ok(_)) => (),
                    Some(Err(error)) => return Err(error.into()),
                    None => return Err("the controller hung up".into()),
                },
                () = clock::sleep_until(Some(self.machine.poll_timeout())) => {
                    self.machine.handle_timeout(clock::now());
                }
                changed = orders.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let now = *orders.borrow_and_update();
                    if now.cut != told.cut || now.online <= self.number {
                        return Err("cut".into());
                    }
                }
            }
        }
    }

    /// Says what the session has to say, and acts on what it heard.
    async fn settle(&mut self, backoff: &mut Backoff) -> Result<(), Failure> {
        loop {
            while let Some(frame) = self.machine.poll_transmit() {
                self.say(frame).await?;
            }
            match self.machine.poll_event() {
                None => break,
                Some(Event::Welcomed(welcome)) => {
                    self.me.last_session = welcome.session;
                    self.machine.handle_durable();
                    backoff.handle_established(clock::now());
                }
                Some(Event::Message(frame)) => self.hear(*frame).await?,
                Some(Event::Ended(ended)) => {
                    if let Ended::Refused { retry_after: wait, .. } | Ended::GoneAway { reconnect_after: wait, .. } =
                        &ended
                    {
                        backoff.handle_asked(*wait);
                    }
                    return Err(ended.into());
                }
            }
        }
        Ok(self.socket.flush().await?)
    }

    async fn say(&mut self, frame: impl Into<FromMember>) -> Result<(), Failure> {
        Ok(self.socket.feed(Message::Binary(frame.into().encode()?.into())).await?)
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "a light agent has no certificates, keys or payloads to change")]
    async fn hear(&mut self, frame: FromController) -> Result<(), Failure> {
        match frame {
            FromController::InventoryAsk(ask) => {
                let state = HeldState::Journaled.into();
                let tasks = self
                    .held
                    .iter()
                    .map(|(task, (epoch, _))| HeldTask { lease: LeaseRef { task: *task, epoch: *epoch }, state });
                let tasks = List::clipped(tasks.collect());
                self.say(Inventory { nonce: ask.nonce, last: true, tasks }).await?;
                self.say(Credit { offers: self.credit }).await?;
                if !std::mem::replace(&mut self.is_registered, true) {
                    self.shared.registered();
                }
            }
            FromController::Offer(offer) => {
                self.shared.offered(offer.task);
                self.held.insert(offer.task, (offer.epoch, offer.attempt));
                self.asked += 1;
                let lease = LeaseRef { task: offer.task, epoch: offer.epoch };
                self.say(Accept { task: offer.task, epoch: offer.epoch }).await?;
                self.say(Renew { nonce: self.asked, leases: List::clipped(vec![lease]) }).await?;
            }
            FromController::Renewed(renewed) => {
                for it in &renewed.leases {
                    let Some((epoch, attempt)) = self.held.remove(&it.lease.task) else { continue };
                    if it.verdict.known() == Some(LeaseVerdict::Kept) {
                        self.do_it(it.lease.task, epoch, attempt).await?;
                    }
                    self.credit += 1;
                }
                self.say(Credit { offers: self.credit }).await?;
            }
            FromController::ReportAck(_) => {
                self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            _ => (),
        }
        Ok(())
    }

    async fn do_it(&mut self, task: TaskId, epoch: Epoch, attempt: u32) -> Result<(), Failure> {
        self.say(Started { task, epoch, attempt }).await?;
        let number = self.me.next_report;
        self.me.next_report = ReportNo(number.0 + 1);
        self.say(Report {
            number,
            task,
            epoch,
            attempt,
            outcome: Outcome::Succeeded.into(),
            certainty: Certainty::Certain.into(),
            changed: Changed::Yes.into(),
            failure: None,
            output: Bytes::default(),
            sealed: List::default(),
            streams: List::default(),
            ext: List::default(),
        })
        .await
    }
}
