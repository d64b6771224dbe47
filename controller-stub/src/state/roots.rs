//! The rotation of the root: which step may be made, what members are told, and what they have of it.

use std::sync::Arc;

use postern_protocol::bounded::{Bytes, List};
use postern_protocol::message::v1::{MembershipState, SessionRefusal, TrustBundle, TrustBundleAck};
use postern_protocol::{ClusterName, MemberId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::ledger::Write;
use super::record::{MemberRecord, RootsRecord};
use super::{Member, Refusal, RefusalKind, State, ToSession};
use crate::ca::{Authority, Root, RootNo};
use crate::clock::Moment;
use crate::root_rotation::{self, Demand, Phase, Step};

/// How many members a sentence names; `ca status` lists all of them.
const NAMED: usize = 5;

/// The authority, as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CaView {
    /// How far the rotation is: `single`, `begun` or `switched`.
    pub phase: String,
    /// The number of the bundle that members are to trust.
    pub bundle: u64,
    /// The roots that are trusted, the one that signs first, then those that are kept.
    pub roots: Vec<RootView>,
    /// What each member has of it.
    pub members: Vec<MemberTrust>,
    /// The steps that there are now.
    pub steps: Vec<StepView>,
}

/// A root.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RootView {
    /// Its number.
    pub number: RootNo,
    /// SHA-256 of its key, which tokens name.
    pub fingerprint: String,
    /// From when on it is valid, in milliseconds since 1970.
    pub valid_from: u64,
    /// Until when.
    pub valid_until: u64,
    /// `signs`, `trusted` or `kept`.
    pub role: String,
    /// How many members have a certificate of it.
    pub certificates: usize,
}

impl RootView {
    /// A root in its role.
    pub fn new(root: &Root, role: &str) -> Self {
        let validity = root.validity();
        Self {
            number: root.number(),
            fingerprint: root.fingerprint(),
            valid_from: validity.map_or(0, |(from, _)| from.0),
            valid_until: validity.map_or(0, |(_, until)| until.0),
            role: role.to_owned(),
            certificates: 0,
        }
    }
}

/// What a member has of the authority.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemberTrust {
    /// The member.
    pub id: MemberId,
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its host's name, as it says.
    pub host: String,
    /// What it may do.
    pub state: MembershipState,
    /// Whether it has a session.
    pub connected: bool,
    /// The root of its certificate.
    pub certificate_root: RootNo,
    /// The roots that it has on disk for certain.
    pub trusts: Vec<RootNo>,
    /// Whether it said to have those of the bundle, and no others.
    pub acknowledged: bool,
}

/// A step that could be made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// The members it waits for.
    pub waits_for: Vec<MemberId>,
}

impl State {
    /// Where the authority is seen, each time as it is durable.
    pub fn durable_authority(&self) -> watch::Receiver<Arc<Authority>> {
        self.seen_authority.subscribe()
    }

    /// The root that a rotation would begin with: the next one, or one that is kept.
    pub fn root_to_come(&self, kept: Option<RootNo>) -> Result<RootNo, Refusal> {
        let root = kept.unwrap_or_else(|| self.roots.newest.next());
        root_rotation::after(self.roots.phase, Step::Begin(root))
            .map_err(|error| Refusal::conflict(error.to_string()))?;
        match kept {
            Some(kept) if !(RootNo::FIRST..=self.roots.newest).contains(&kept) => Err(Refusal::field(
                "root",
                format!("there never was a root {kept}: see `postern-controller ca status`"),
            )),
            Some(_) | None => Ok(root),
        }
    }

    /// Begins a rotation: `root` is trusted from here on, and every member told so.
    pub fn begin_rotation(&mut self, root: Root, at: Moment) -> Result<CaView, Refusal> {
        let step = Step::Begin(root.number());
        let phase =
            root_rotation::after(self.roots.phase, step).map_err(|error| Refusal::conflict(error.to_string()))?;
        let signing = Arc::clone(self.authority.signing());
        self.enter(step, phase, Authority::new(signing, Some(Arc::new(root))), at);
        Ok(self.ca())
    }

    /// Makes a step of the rotation that is under way, if it is `from` this phase. With `force` even if members are shut out
    /// by it.
    pub fn rotate(&mut self, step: Step, from: Option<&str>, force: bool, at: Moment) -> Result<CaView, Refusal> {
        let present = self.roots.phase.name();
        if let Some(from) = from.filter(|from| *from != present) {
            let why = format!(
                "the rotation is `{present}` by now, not `{from}`: `postern-controller ca status` tells its next step"
            );
            return Err(Refusal::conflict(why));
        }
        let phase =
            root_rotation::after(self.roots.phase, step).map_err(|error| Refusal::conflict(error.to_string()))?;
        let missing = self.missing(phase);
        if !missing.is_empty() {
            if !force {
                return Err(Refusal::conflict(self.what_it_costs(step, phase, &missing)));
            }
            tracing::warn!(
                step = step.name(),
                members = missing.len(),
                "a step of the rotation is forced: some members may be shut out"
            );
        }
        let find = |number: RootNo| self.authority.roots().find(|it| it.number() == number).map(Arc::clone);
        let lost =
            || Refusal::new(RefusalKind::Internal, "a root that is trusted is not there: see the controller's log");
        let signing = find(phase.signing()).ok_or_else(lost)?;
        let other = phase.other().map(|it| find(it).ok_or_else(lost)).transpose()?;
        self.enter(step, phase, Authority::new(signing, other), at);
        Ok(self.ca())
    }

    /// Whoever is in a session is told at once, the others as soon as they are.
    fn enter(&mut self, step: Step, phase: Phase, authority: Authority, at: Moment) {
        let newest = phase.trusted().into_iter().fold(self.roots.newest, RootNo::max);
        self.roots = RootsRecord { bundle: self.roots.bundle + 1, newest, phase };
        self.writes.push(Write::Roots(self.roots));
        self.authority = Arc::new(authority);
        tracing::info!(
            step = step.name(), phase = phase.name(), signing = %phase.signing(), bundle = self.roots.bundle,
            "the rotation of the root went on"
        );
        let members: Vec<(MemberId, RootNo)> = self.members.iter().map(|(id, it)| (*id, it.record.root)).collect();
        for (id, root) in members {
            self.doubt_trust(id);
            self.push_trust(id);
            if !phase.trusted().contains(&root) {
                let message = "the root of this member's certificate is not trusted any more";
                self.end_session(id, SessionRefusal::WrongCertificate, message, at);
            }
        }
        self.forget_untrusted();
    }

    /// What a member is told may be on its disk long before its word of it comes, or without it: only what is in both the
    /// former bundle and this one is there for certain.
    fn doubt_trust(&mut self, id: MemberId) {
        let trusted = self.roots.phase.trusted();
        let Some(record) = self.members.get_mut(&id).map(|it| &mut it.record) else { return };
        if record.trusts.iter().any(|root| !trusted.contains(root)) {
            record.trusts.retain(|root| trusted.contains(root));
            // Whatever a crash leaves of this step, the member is asked again.
            record.acked_bundle = 0;
            self.writes.push(Write::Member(record.clone()));
        }
    }

    /// A member was in a session that this ledger knows nothing of, which was put back from a copy: what members were told of the
    /// roots since is known of none of them, and all are told them again, and asked. Once for each start, which a copy is put
    /// back before, or one member could have everybody asked as often as it likes.
    pub(super) fn doubt_what_all_trust(&mut self) {
        if std::mem::replace(&mut self.doubts_trust, true) {
            return;
        }
        let asked = self.members.values_mut().filter(|it| it.record.acked_bundle != 0);
        let asked: Vec<(MemberId, bool)> = asked
            .map(|it| {
                it.record.trusts = Vec::new();
                it.record.acked_bundle = 0;
                self.writes.push(Write::Member(it.record.clone()));
                (it.record.id, it.live.as_ref().is_some_and(|live| live.established))
            })
            .collect();
        for (id, _) in asked.into_iter().filter(|(_, is_in_session)| *is_in_session) {
            self.push_trust(id);
        }
    }

    /// Tells a member in a session which roots to trust, unless it said to have those of this very bundle on disk.
    pub(super) fn push_trust(&mut self, id: MemberId) {
        if self.members.get(&id).is_some_and(|it| it.record.acked_bundle != self.roots.bundle) {
            self.say(id, ToSession::frame(self.trust_bundle()));
        }
    }

    /// The roots to trust.
    pub(super) fn trust_bundle(&self) -> TrustBundle {
        let certificates = self.authority.roots().map(|it| it.certificate().to_vec());
        let roots = certificates.filter_map(|it| Bytes::new(it).ok()).collect();
        TrustBundle { number: self.roots.bundle, roots: List::clipped(roots) }
    }

    /// A member has the roots on disk.
    pub(super) fn trust_is_durable(&mut self, id: MemberId, ack: &TrustBundleAck) {
        let trusted = self.roots.phase.trusted();
        let Some(record) = self.members.get_mut(&id).map(|it| &mut it.record) else { return };
        // One that comes late is about roots that are not the present ones.
        if ack.number == self.roots.bundle && record.acked_bundle != ack.number {
            tracing::info!(member = %id, bundle = ack.number, "a member has the trusted roots on disk");
            record.trusts = trusted;
            record.acked_bundle = ack.number;
            self.writes.push(Write::Member(record.clone()));
        }
    }

    /// Whether a certificate of this root is good for a session.
    pub(super) fn is_trusted(&self, root: RootNo) -> bool {
        self.roots.phase.trusted().contains(&root)
    }

    /// The members that a phase would shut out.
    fn missing(&self, phase: Phase) -> Vec<&MemberRecord> {
        let Demand { trusts, without } = root_rotation::demand(self.roots.phase, phase);
        let is_missing = |it: &&MemberRecord| {
            counts(it) && (trusts.is_some_and(|root| !it.trusts.contains(&root)) || without == Some(it.root))
        };
        self.members.values().map(|it| &it.record).filter(is_missing).collect()
    }

    /// Why a step is not made, and what it would cost to make it.
    fn what_it_costs(&self, step: Step, phase: Phase, missing: &[&MemberRecord]) -> String {
        let named: Vec<String> = missing.iter().take(NAMED).map(|it| format!("{} ({})", it.id, it.host)).collect();
        let more = missing.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (members, step) = (format!("{}{more}", named.join(", ")), step.name());
        match root_rotation::demand(self.roots.phase, phase).without {
            None => format!(
                "not every member has root {} on disk, which is about to sign: {members}. Start them and wait, or revoke \
                 those that are gone. `ca rotate {step} --force` goes on without them: they cannot connect then, until \
                 the rotation goes back or they are enrolled again with a new token",
                phase.signing()
            ),
            Some(dropped) => format!(
                "members have certificates of root {dropped} yet, which is about to be dropped: {members}. They renew \
                 within minutes once they run; revoke those that are gone. `ca rotate {step} --force` goes on without \
                 them: those that have root {} on disk get another certificate by proof of their key, the others have to \
                 be enrolled again with a new token",
                phase.signing()
            ),
        }
    }

    /// The authority. Roots that are only kept are known to the directory alone.
    pub fn ca(&self) -> CaView {
        let phase = self.roots.phase;
        let of =
            |root: RootNo| self.members.values().filter(move |it| counts(&it.record) && it.record.root == root).count();
        let roots = self.authority.roots().zip(["signs", "trusted"]);
        let roots = roots.map(|(root, role)| RootView { certificates: of(root.number()), ..RootView::new(root, role) });
        let steps = [Step::Begin(self.roots.newest.next()), Step::Switch, Step::Finish, Step::Back];
        let steps = steps.into_iter().filter_map(|step| {
            let next = root_rotation::after(phase, step).ok()?;
            let waits_for = self.missing(next).iter().map(|it| it.id).collect();
            Some(StepView { step: step.name().to_owned(), waits_for })
        });
        CaView {
            phase: phase.name().to_owned(),
            bundle: self.roots.bundle,
            roots: roots.collect(),
            members: self
                .members
                .values()
                .filter(|it| counts(&it.record))
                .map(|it| trust(it, self.roots.bundle))
                .collect(),
            steps: steps.collect(),
        }
    }

    /// The newest root that was made: those up to it that are not trusted may be kept.
    pub const fn newest_root(&self) -> RootNo {
        self.roots.newest
    }
}

/// Whether a member can be shut out: one that was revoked is out already.
fn counts(record: &MemberRecord) -> bool {
    record.state != MembershipState::Revoked
}

fn trust(member: &Member, bundle: u64) -> MemberTrust {
    let record = &member.record;
    MemberTrust {
        id: record.id,
        cluster: record.cluster.clone(),
        host: record.host.clone(),
        state: record.state,
        connected: member.session().is_some(),
        certificate_root: record.root,
        trusts: record.trusts.clone(),
        acknowledged: record.acked_bundle == bundle,
    }
}
