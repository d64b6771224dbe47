//! Who may be connected. Whoever comes is a *visitor* until it is known who it is, and there is room for so many.
//!
//! When there is none left, the visitor that has been at the door for longest makes room, one of the network that has
//! most of them there: whoever means it is through the door in a moment, whoever only holds a place is not. Whoever is
//! inside makes room for nobody, and who was inside and is known comes last.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::network::Network;
use crate::telemetry::Hush;

/// How long to wait when no connection can be accepted: asking again at once would only burn the processor.
const PAUSE: Duration = Duration::from_millis(100);

/// How many may be connected at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Everybody.
    pub total: usize,
    /// Visitors.
    pub visitors: usize,
    /// Visitors from one network.
    pub visitors_per_network: usize,
}

/// A place in a queue: strangers before those who are known, and each in the order of coming.
type Turn = (bool, u64);

/// Those of one network, the one that makes room first in front.
type Queue = BTreeMap<Turn, CancellationToken>;

#[derive(Debug)]
struct Places {
    bounds: Bounds,
    visitors: BTreeMap<Network, Queue>,
    visitor_count: usize,
    inside: usize,
    next: u64,
    turned_away: u64,
}

impl Places {
    const fn new(bounds: Bounds) -> Self {
        Self { bounds, visitors: BTreeMap::new(), visitor_count: 0, inside: 0, next: 0, turned_away: 0 }
    }

    /// A place for somebody who comes from there; `None` if everybody is inside.
    fn enter(&mut self, network: Network) -> Option<(Turn, CancellationToken)> {
        if self.visitors.get(&network).is_some_and(|queue| queue.len() >= self.bounds.visitors_per_network) {
            self.turn_out(network);
        } else if self.visitor_count >= self.bounds.visitors || self.visitor_count + self.inside >= self.bounds.total {
            let Some(most) = self.most() else {
                self.turned_away += 1;
                return None;
            };
            self.turn_out(most);
        }
        let turned_out = CancellationToken::new();
        Some((self.add(network, false, turned_out.clone()), turned_out))
    }

    /// The network with most strangers, then with most visitors; of several, that of the one who came first.
    fn most(&self) -> Option<Network> {
        let came_first = |queue: &Queue| std::cmp::Reverse(queue.first_key_value().map(|(turn, _)| *turn));
        let strangers = |queue: &Queue| queue.keys().take_while(|(known, _)| !known).count();
        let weight = |queue: &Queue| (strangers(queue), queue.len(), came_first(queue));
        self.visitors.iter().max_by_key(|(_, queue)| weight(queue)).map(|(network, _)| *network)
    }

    fn turn_out(&mut self, network: Network) {
        let first = self.visitors.get(&network).and_then(|queue| queue.first_key_value()).map(|(turn, _)| *turn);
        if let Some(turned_out) = first.and_then(|turn| self.remove(network, turn)) {
            self.turned_away += 1;
            turned_out.cancel();
        }
    }

    /// Puts it behind all others of its kind.
    fn add(&mut self, network: Network, known: bool, turned_out: CancellationToken) -> Turn {
        let turn = (known, self.next);
        self.next += 1;
        self.visitors.entry(network).or_default().insert(turn, turned_out);
        self.visitor_count += 1;
        turn
    }

    fn remove(&mut self, network: Network, turn: Turn) -> Option<CancellationToken> {
        let queue = self.visitors.get_mut(&network)?;
        let removed = queue.remove(&turn)?;
        if queue.is_empty() {
            self.visitors.remove(&network);
        }
        self.visitor_count -= 1;
        Some(removed)
    }
}

/// The door of one listener. Clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    places: Arc<Mutex<Places>>,
    hush: Arc<Hush>,
}

impl Door {
    /// A door with these bounds, that tells of strangers as much as all do together.
    pub fn new(bounds: Bounds, hush: Arc<Hush>) -> Self {
        Self { places: Arc::new(Mutex::new(Places::new(bounds))), hush }
    }

    /// How many connections there are, and how many were turned away, or out for another.
    pub fn counts(&self) -> (usize, u64) {
        let places = self.places();
        (places.visitor_count + places.inside, places.turned_away)
    }

    /// The next connection for which there is a place.
    pub async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, Visitor) {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => match self.enter(address.ip()) {
                    Some(visitor) => return (stream, address, visitor),
                    None if self.may_tell() => {
                        tracing::warn!(%address, "all the connections there may be are sessions: one was turned away");
                    }
                    None => (),
                },
                Err(error) => self.could_not_accept(&error).await,
            }
        }
    }

    /// Out of descriptors, most likely: those at the door have some.
    async fn could_not_accept(&self, error: &io::Error) {
        if self.may_tell() {
            tracing::warn!(%error, "a connection could not be accepted");
        }
        self.make_room();
        tokio::time::sleep(PAUSE).await;
    }

    /// Whether the log may say one more thing about somebody at the door.
    fn may_tell(&self) -> bool {
        self.hush.allows(clock::now())
    }

    fn make_room(&self) {
        let mut places = self.places();
        if let Some(most) = places.most() {
            places.turn_out(most);
        }
    }

    fn enter(&self, address: IpAddr) -> Option<Visitor> {
        let network = Network::from(address);
        let ((_, number), turned_out) = self.places().enter(network)?;
        Some(Visitor {
            door: self.clone(),
            network,
            known: AtomicBool::new(false),
            number: AtomicU64::new(number),
            turned_out,
        })
    }

    #[cfg(test)]
    pub(crate) fn visitor(&self, address: IpAddr) -> Visitor {
        self.enter(address).expect("there is room")
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at the door, until it is dropped.
#[derive(Debug)]
pub struct Visitor {
    door: Door,
    network: Network,
    /// Its turn while it has a place at the door; changed under the lock of the door alone.
    known: AtomicBool,
    number: AtomicU64,
    turned_out: CancellationToken,
}

impl Visitor {
    /// Resolves when somebody else needs the place.
    pub async fn turned_out(&self) {
        self.turned_out.cancelled().await;
    }

    /// Whether the log may tell of it.
    pub fn may_be_told(&self) -> bool {
        self.door.may_tell()
    }

    /// Takes it inside, until what is returned is dropped. `None` if its place was taken already.
    pub fn inside(self: &Arc<Self>) -> Option<Inside> {
        let mut places = self.door.places();
        places.remove(self.network, self.turn())?;
        places.inside += 1;
        Some(Inside { visitor: Arc::clone(self), known: self.known.load(Ordering::Relaxed) })
    }

    fn turn(&self) -> Turn {
        (self.known.load(Ordering::Relaxed), self.number.load(Ordering::Relaxed))
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.door.places().remove(self.network, self.turn());
    }
}

/// A place inside.
#[derive(Debug)]
pub struct Inside {
    visitor: Arc<Visitor>,
    known: bool,
}

impl Inside {
    /// It showed that it belongs here: back at the door, it makes room after all strangers.
    pub fn is_known(&mut self) {
        self.known = true;
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let visitor = &self.visitor;
        let mut places = visitor.door.places();
        places.inside -= 1;
        let (known, number) = places.add(visitor.network, self.known, visitor.turned_out.clone());
        visitor.known.store(known, Ordering::Relaxed);
        visitor.number.store(number, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { total: 6, visitors: 4, visitors_per_network: 3 };

    fn door() -> Door {
        Door::new(BOUNDS, Arc::default())
    }

    fn enter(door: &Door, address: &str) -> Option<Arc<Visitor>> {
        door.enter(address.parse().unwrap()).map(Arc::new)
    }

    fn is_out(visitor: &Visitor) -> bool {
        visitor.turned_out.is_cancelled()
    }

    /// Refuse whoever comes instead, and a few slow connections keep everybody else out.
    #[test]
    fn the_visitor_that_waits_longest_makes_room_one_of_the_network_that_has_most() {
        let door = door();
        let alone = enter(&door, "10.0.0.1").unwrap();
        let crowd: Vec<_> = (0..3).map(|_| enter(&door, "10.0.0.2").unwrap()).collect();
        let next = enter(&door, "10.0.0.3").unwrap();
        assert!(is_out(&crowd[0]) && !is_out(&crowd[1]) && !is_out(&alone), "four have room");
        // One each is left but for the crowd's two.
        let other = enter(&door, "10.0.0.4").unwrap();
        assert!(is_out(&crowd[1]) && !is_out(&crowd[2]) && !is_out(&alone));
        // All have one: who came first makes room.
        let last = enter(&door, "10.0.0.5").unwrap();
        assert!(is_out(&alone));
        assert_eq!(door.counts(), (4, 3), "three made room");
        assert!([&crowd[2], &next, &other, &last].into_iter().all(|it| !is_out(it)));
    }

    #[test]
    fn a_network_with_as_many_visitors_as_it_may_have_makes_room_itself() {
        let door = door();
        let other = enter(&door, "10.0.0.1").unwrap();
        let crowd: Vec<_> = (0..4).map(|_| enter(&door, "10.0.0.2").unwrap()).collect();
        assert!(is_out(&crowd[0]) && crowd[1..].iter().all(|it| !is_out(it)) && !is_out(&other));
        drop(crowd);
        assert_eq!(door.places().visitor_count, 1, "a place is given back");
    }

    #[test]
    fn whoever_is_inside_makes_room_for_nobody() {
        let door = door();
        let members: Vec<_> =
            (0..6).map(|_| enter(&door, "10.0.0.1").unwrap()).map(|it| it.inside().unwrap()).collect();
        assert!(enter(&door, "10.0.0.2").is_none(), "six are inside");
        assert_eq!(door.counts(), (6, 1));
        assert!(members.iter().all(|it| !is_out(&it.visitor)));
        drop(members);
        let visitor = enter(&door, "10.0.0.2").unwrap();
        let inside = visitor.inside().unwrap();
        assert!(visitor.inside().is_none(), "it has one place");
        drop(inside);
        assert!(visitor.inside().is_some(), "and gets it back");
    }

    /// Let all wait in one queue, and whoever only holds connections to the API ends those of its callers.
    #[test]
    fn who_is_known_makes_room_after_all_strangers() {
        let door = Door::new(Bounds { total: 4, visitors: 4, visitors_per_network: 4 }, Arc::default());
        let known: Vec<_> = (0..2).map(|_| enter(&door, "127.0.0.1").unwrap()).collect();
        for caller in &known {
            caller.inside().unwrap().is_known();
        }
        let strangers: Vec<_> = (0..4).map(|_| enter(&door, "127.0.0.1").unwrap()).collect();
        assert!(is_out(&strangers[0]) && is_out(&strangers[1]) && known.iter().all(|it| !is_out(it)));
        drop(strangers);
        let crowd: Vec<_> = (0..4).map(|_| enter(&door, "127.0.0.1").unwrap()).collect();
        assert!(known.iter().all(|it| !is_out(it)), "two strangers made room for two");
        for it in crowd.iter().filter(|it| !is_out(it)) {
            it.inside().unwrap().is_known();
        }
        let _last = enter(&door, "127.0.0.3").unwrap();
        assert!(is_out(&known[0]), "of those who are known, the one that rests for longest");
    }

    #[test]
    fn whose_place_was_taken_is_not_let_in_any_more() {
        let door = door();
        let crowd: Vec<_> = (0..4).map(|_| enter(&door, "10.0.0.2").unwrap()).collect();
        assert!(crowd[0].inside().is_none());
        drop(crowd);
        let places = door.places();
        assert_eq!((places.visitor_count, places.inside, places.visitors.len()), (0, 0, 0));
    }

    /// Ask again at once, and a controller without descriptors does nothing else.
    #[tokio::test(start_paused = true)]
    async fn a_listener_without_descriptors_takes_one_from_a_visitor_and_waits() {
        let door = door();
        let visitor = enter(&door, "10.0.0.1").unwrap();
        let refused = io::Error::other("too many open files");
        assert!(tokio::time::timeout(PAUSE / 2, door.could_not_accept(&refused)).await.is_err(), "it waits");
        assert!(is_out(&visitor));
        door.could_not_accept(&refused).await;
    }
}
