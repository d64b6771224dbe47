//! Looks at a [`Heart`] again and again, and tells what it finds: to whoever judges, and to whoever supervises.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::heart::{Heart, Still};
use crate::notify::Notify;

/// Looks without movement until a part is given up.
const LOOKS: u32 = 12;

/// How often is looked, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time between two looks.
    pub pause: Duration,
    /// Looks without movement until a part is given up.
    pub looks: u32,
}

impl Pace {
    /// Gives a part up after `limit`. Whoever supervises wants to hear of the program as often as `patience` says.
    pub fn new(limit: Duration, patience: Option<Duration>) -> Self {
        // Of three signs of life one may be late, and one be lost.
        let pause = patience.map_or(limit / LOOKS, |patience| (patience / 3).min(limit / LOOKS));
        let looks = limit.as_nanos().div_ceil(pause.as_nanos().max(1));
        Self { pause, looks: u32::try_from(looks).unwrap_or(u32::MAX).max(LOOKS) }
    }

    /// Whether this part is to be given up.
    pub fn is_over(self, still: &[Still], part: &str) -> bool {
        still.iter().any(|it| it.part == part && it.looks >= self.looks)
    }

    /// What has not moved for half of the time after which it is given up.
    pub fn stalled(self, still: &[Still]) -> Vec<&'static str> {
        still.iter().filter(|it| it.looks >= self.looks / 2).map(|it| it.part).collect()
    }
}

/// The parts that have stalled, told anew with every look.
pub type Stalled = watch::Receiver<Vec<&'static str>>;

/// Who looks.
pub struct Watch {
    heart: Heart,
    pace: Pace,
    told: watch::Sender<Vec<&'static str>>,
}

impl Watch {
    /// At this pace.
    pub fn new(heart: Heart, pace: Pace) -> (Self, Stalled) {
        let (told, stalled) = watch::channel(Vec::new());
        (Self { heart, pace, told }, stalled)
    }

    /// Looks until the program ends. `still` is shown what did not move since the look before.
    pub async fn run(mut self, still: impl Fn(Pace, &[Still])) {
        loop {
            tokio::time::sleep(self.pace.pause).await;
            let found = self.heart.look();
            still(self.pace, &found);
            let stalled = self.pace.stalled(&found);
            for part in stalled.iter().filter(|it| !self.told.borrow().contains(it)) {
                tracing::error!(part, "this part of the program does not move any more");
            }
            self.told.send_replace(stalled);
        }
    }
}

/// How a program is, for whoever supervises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// It can take work.
    pub is_ready: bool,
    /// What it does.
    pub sentence: String,
}

/// Tells whoever supervises the program how it is, until `stop` fires: that it is ready once it is, what it does, and after
/// each look that finds nothing stalled that it is alive. What could not be said is said after the next look: a program of
/// which systemd never hears that it is ready is stopped as one that did not start.
///
/// Signs of life go on over `given_up`, the part that the program itself ends over when that has had its time: whoever supervises
/// may have less patience, and would end it before.
pub async fn supervise<F: Future<Output = Told>>(
    notify: Arc<Notify>,
    mut stalled: Stalled,
    given_up: Option<&'static str>,
    look: impl Fn() -> F,
    stop: CancellationToken,
) {
    let (mut is_ready, mut told) = (false, String::new());
    loop {
        let Told { is_ready: ready, sentence } = look().await;
        if ready && !is_ready {
            is_ready = notify.ready();
        }
        if sentence != told && notify.status(&sentence) {
            told = sentence;
        }
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = stalled.changed() => looked,
        };
        if looked.is_err() {
            return;
        }
        if stalled.borrow_and_update().iter().all(|part| Some(*part) == given_up) {
            notify.alive();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::heart::Pulse;
    use crate::notify::Supervisor;

    /// The name of its socket in the folder that it is given.
    const SOCKET: &str = "notify";

    /// The systemd of the tests, in a folder of its own, and how it is told something.
    fn systemd() -> (tempfile::TempDir, UnixDatagram, Supervisor) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SOCKET);
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd.set_nonblocking(true).unwrap();
        (folder, systemd, Supervisor { socket: Some(path.into()), ..Supervisor::default() })
    }

    /// What was told since it was asked last.
    fn heard(by: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 256];
        std::iter::from_fn(|| by.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into()))
            .collect()
    }

    /// Tell with every look whatever it finds, and a program whose dispatcher hangs is never started again.
    #[tokio::test(start_paused = true)]
    async fn signs_of_life_come_while_everything_moves_and_stop_while_something_does_not() {
        let (_folder, systemd, supervisor) = systemd();
        let notify = Arc::new(Notify::to(&supervisor).unwrap());
        let (pulse, moves, is_ready) = (Pulse::default(), AtomicBool::new(true), AtomicBool::new(false));
        let seen = pulse.clone();
        let heart = Heart::default().with("the dispatcher", move || seen.look());
        let (watch, stalled) = Watch::new(heart, Pace::new(Duration::from_secs(12), None));
        let look = || async { Told { is_ready: is_ready.load(Ordering::Relaxed), sentence: "At work".to_owned() } };
        let stop = CancellationToken::new();
        let beats = async {
            loop {
                if moves.load(Ordering::Relaxed) {
                    pulse.beat();
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let tests = async {
            let wait = async |seconds| tokio::time::sleep(Duration::from_secs(seconds)).await;
            wait(10).await;
            let mut told = heard(&systemd);
            assert_eq!(told.remove(0), "STATUS=At work");
            assert!(told.len() >= 8 && told.iter().all(|it| it == "WATCHDOG=1"), "{told:?}");
            is_ready.store(true, Ordering::Relaxed);
            wait(2).await;
            assert_eq!(heard(&systemd).iter().filter(|it| *it == "READY=1").count(), 1);
            moves.store(false, Ordering::Relaxed);
            wait(10).await;
            heard(&systemd);
            wait(100).await;
            assert_eq!(heard(&systemd), Vec::<String>::new(), "it has stalled");
            moves.store(true, Ordering::Relaxed);
            wait(10).await;
            assert!(heard(&systemd).len() >= 8, "it goes on");
        };
        tokio::select! {
            () = watch.run(|_, _| ()) => (),
            () = supervise(notify, stalled, None, look, stop) => (),
            () = beats => (),
            () = tests => (),
        }
    }

    /// Have the disk take the signs of life along, and of 600 seconds that it was given half are over when the last one comes:
    /// systemd, which waits for 180, ends the program before it ends by itself and says why.
    #[tokio::test(start_paused = true)]
    async fn signs_of_life_go_on_over_a_disk_that_the_program_gives_up_by_itself_and_over_nothing_else() {
        const PATIENCE: Duration = Duration::from_secs(180);
        let (_folder, systemd, supervisor) = systemd();
        for (limit, part, is_supervised_to_the_end) in
            [(600, "the disk", true), (3600, "the disk", true), (5, "the disk", true), (600, "the dispatcher", false)]
        {
            let limit = Duration::from_secs(limit);
            let pulse = Pulse::default();
            pulse.beat();
            let heart = Heart::default().with(part, move || pulse.look());
            let (watch, stalled) = Watch::new(heart, Pace::new(limit, Some(PATIENCE)));
            let look = || async { Told { is_ready: true, sentence: String::new() } };
            let notify = Arc::new(Notify::to(&supervisor).unwrap());
            let patience = async {
                loop {
                    tokio::time::sleep(PATIENCE).await;
                    if !heard(&systemd).iter().any(|it| it == "WATCHDOG=1") {
                        return;
                    }
                }
            };
            let over = tokio::sync::Notify::new();
            let is_over = |pace: Pace, still: &[Still]| {
                if pace.is_over(still, part) {
                    over.notify_one();
                }
            };
            let ended_by_itself = tokio::select! {
                () = watch.run(is_over) => unreachable!("it looks until the program ends"),
                () = supervise(notify, stalled, Some("the disk"), look, CancellationToken::new()) => unreachable!("nobody stops it"),
                () = over.notified() => true,
                () = patience => false,
            };
            assert_eq!(ended_by_itself, is_supervised_to_the_end, "{limit:?} {part}");
        }
    }

    /// Take it for said, and systemd, which was busy then, waits for an hour and stops the program as one that did not start.
    #[tokio::test(start_paused = true)]
    async fn that_it_is_ready_is_said_again_to_a_supervisor_that_had_no_room() {
        let (folder, systemd, supervisor) = systemd();
        let others = UnixDatagram::unbound().unwrap();
        others.set_nonblocking(true).unwrap();
        while others.send_to(b"WATCHDOG=1", folder.path().join(SOCKET)).is_ok() {}
        let (watch, stalled) = Watch::new(Heart::default(), Pace::new(Duration::from_secs(12), None));
        let look = || async { Told { is_ready: true, sentence: "At work".to_owned() } };
        let tests = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(heard(&systemd).iter().all(|it| it == "WATCHDOG=1"), "it had no room");
            tokio::time::sleep(Duration::from_secs(3)).await;
            let told = heard(&systemd);
            for line in ["READY=1", "STATUS=At work"] {
                assert_eq!(told.iter().filter(|it| *it == line).count(), 1, "{told:?}");
            }
        };
        tokio::select! {
            () = watch.run(|_, _| ()) => (),
            () = supervise(Arc::new(Notify::to(&supervisor).unwrap()), stalled, None, look, CancellationToken::new()) => (),
            () = tests => (),
        }
    }

    #[test]
    fn what_does_not_move_has_stalled_before_it_is_given_up() {
        let pace = Pace::new(Duration::from_secs(120), None);
        let still = |looks| [Still { part: "the disk", looks }];
        let stalled = (0..=LOOKS).filter(|looks| !pace.stalled(&still(*looks)).is_empty());
        assert_eq!(stalled.min(), Some(6));
        assert!(!pace.is_over(&still(LOOKS - 1), "the disk") && pace.is_over(&still(LOOKS), "the disk"));
        assert!(!pace.is_over(&still(LOOKS), "the link"));
    }

    #[test]
    fn a_supervisor_that_wants_to_hear_more_often_does_and_the_disk_has_its_time() {
        let pace = Pace::new(Duration::from_secs(120), Some(Duration::from_secs(6)));
        assert_eq!((pace.pause, pace.looks), (Duration::from_secs(2), 60));
        let pace = Pace::new(Duration::from_secs(120), Some(Duration::from_secs(3600)));
        assert_eq!((pace.pause, pace.looks), (Duration::from_secs(10), LOOKS));
    }
}
