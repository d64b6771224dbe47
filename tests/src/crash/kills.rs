//! Who is killed, when, and where.

use std::process::ExitStatus;
use std::time::Duration;

use postern_fail_point::Point;
use tokio::time::Instant;

use super::{LEASE, SETTLE, Tally, dice};
use crate::Agent;
use crate::lab::{Controller, FailPoints};

/// The longest pause between two kills. Short ones hit start-up, long ones hit work.
const LONGEST_PAUSE_MS: u64 = 600;
/// After one kill in so many, an agent stays dead until its leases have run out and its tasks are given to the other.
const LONG_DEATHS: u64 = 25;
/// How long a program may take to reach a fail point: one that just lost its session waits before it dials again.
const POINT_PATIENCE: Duration = Duration::from_secs(10);
/// After so many rounds every fail point must have been reached.
const ROUNDS_FOR_ALL: u64 = 100;

/// Where the kills come.
#[derive(Debug, Clone, Copy)]
pub enum Kills {
    /// At random moments, and as often at fail points.
    Everywhere,
    /// At this fail point alone.
    At(Point),
}

/// How a program ended that nobody here has killed.
fn by_whatever(ended: Option<ExitStatus>) -> String {
    ended.map_or_else(|| "killed by somebody else".to_owned(), |status| status.to_string())
}

/// The death of an agent. At a fail point, it came somewhen in between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    /// Which agent.
    pub(super) agent: usize,
    pub(super) from: Instant,
    pub(super) to: Instant,
}

/// What the kills are drawn from, so that each kind gets its share.
struct Deck {
    kills: Kills,
    cards: Vec<Option<Point>>,
}

impl Deck {
    /// A fail point, or `None` for a random moment.
    fn draw(&mut self) -> Option<Point> {
        if let Kills::At(point) = self.kills {
            return Some(point);
        }
        if self.cards.is_empty() {
            let points = Point::AGENT.into_iter().chain(Point::CONTROLLER);
            self.cards = points.flat_map(|point| [Some(point), None]).collect();
        }
        let cards = u64::try_from(self.cards.len()).unwrap_or(u64::MAX);
        self.cards.swap_remove(usize::try_from(dice::below(cards)).unwrap_or(0))
    }
}

/// Kills, starts again, and remembers it.
pub(super) struct Killer<'a> {
    controller: &'a mut Controller,
    agents: &'a mut [Agent; 2],
    deck: Deck,
    tally: Tally,
    deaths: Vec<Death>,
}

impl<'a> Killer<'a> {
    pub(super) fn new(controller: &'a mut Controller, agents: &'a mut [Agent; 2], kills: Kills) -> Self {
        let deck = Deck { kills, cards: Vec::new() };
        Self { controller, agents, deck, tally: Tally::default(), deaths: Vec::new() }
    }

    pub(super) async fn kill(&mut self, rounds: u64, say: &mut impl FnMut(&Tally)) {
        while self.tally.rounds < rounds {
            tokio::time::sleep(Duration::from_millis(dice::below(LONGEST_PAUSE_MS))).await;
            let point = self.deck.draw();
            let (kill_agent, kill_controller) = match point {
                Some(point) => (Point::AGENT.contains(&point), Point::CONTROLLER.contains(&point)),
                None => match dice::below(3) {
                    0 => (true, true),
                    1 => (false, true),
                    _ => (true, false),
                },
            };
            let number = usize::from(dice::once_in(2));
            if kill_agent {
                self.kill_agent(number, point).await;
            }
            if kill_controller {
                self.kill_controller(point).await;
            }
            if kill_agent {
                if dice::once_in(LONG_DEATHS) {
                    tokio::time::sleep(LEASE + 2 * SETTLE).await;
                    self.tally.long_deaths += 1;
                }
                self.agents[number].spawn();
            }
            self.tally.rounds += 1;
            self.check_alive().await;
            say(&self.tally);
        }
        self.check_points();
    }

    async fn kill_agent(&mut self, number: usize, point: Option<Point>) {
        let from = Instant::now();
        let agent = &mut self.agents[number];
        if let Some(point) = point {
            reach(point, &agent.fail_points(), &mut self.tally).await;
        }
        let ended = agent.kill().await.map(|status| (status.to_string(), agent.log()));
        self.deaths.push(Death { agent: number, from, to: Instant::now() });
        self.tally.agent_kills += 1;
        self.note_end("agent", ended);
    }

    async fn kill_controller(&mut self, point: Option<Point>) {
        if let Some(point) = point {
            reach(point, &self.controller.fail_points(), &mut self.tally).await;
        }
        let ended = self.controller.kill().await.map(|status| (status.to_string(), self.controller.log()));
        self.controller.restart().await;
        self.tally.controller_kills += 1;
        self.note_end("controller", ended);
    }

    /// Whoever ended before it was killed found its store unopenable, or met a defect.
    fn note_end(&mut self, who: &str, ended: Option<(String, String)>) {
        if let Some((how, log)) = ended {
            let round = self.tally.rounds;
            self.tally.violations.push(format!("round {round}: the {who} ended by itself, {how}:\n{log}"));
        }
    }

    async fn check_alive(&mut self) {
        for number in 0..self.agents.len() {
            let agent = &mut self.agents[number];
            if !agent.is_running() {
                let ended = (by_whatever(agent.kill().await), agent.log());
                agent.spawn();
                self.note_end("agent", Some(ended));
            }
        }
        if !self.controller.is_running() {
            let ended = (by_whatever(self.controller.kill().await), self.controller.log());
            self.controller.restart().await;
            self.note_end("controller", Some(ended));
        }
    }

    /// A fail point that no run reaches proves nothing.
    fn check_points(&mut self) {
        let wanted = match self.deck.kills {
            Kills::At(point) => vec![point],
            Kills::Everywhere if self.tally.rounds >= ROUNDS_FOR_ALL => {
                [&Point::AGENT[..], &Point::CONTROLLER].concat()
            }
            Kills::Everywhere => Vec::new(),
        };
        for name in wanted.into_iter().map(Point::name) {
            if !self.tally.points.contains_key(name) {
                self.tally.violations.push(format!("the fail point {name} was never reached"));
            }
        }
    }

    /// How it went, and the deaths of agents.
    pub(super) fn end(self) -> (Tally, Vec<Death>) {
        (self.tally, self.deaths)
    }
}

/// Has a program die at a fail point. One that does not get there in time is killed where it is.
async fn reach(point: Point, fail_points: &FailPoints, tally: &mut Tally) {
    fail_points.arm(point);
    let hit = tokio::time::timeout(POINT_PATIENCE, async {
        while !fail_points.was_hit(point) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    if hit.await.is_ok() || !fail_points.disarm(point) {
        *tally.points.entry(point.name()).or_default() += 1;
    } else {
        tally.unreached += 1;
    }
}
