//! Clusters and the tokens into them.

use postern_protocol::ClusterName;
use postern_protocol::MemberId;
use postern_protocol::message::v1::MembershipState;
use postern_protocol::seal::{MAX_RECIPIENTS, SealingPublicKey};

use super::ledger::Write;
use super::once::{Asked, Done, Making, TokenSecret};
use super::record::{Association, ClusterRecord, Made, OnceRecord};
use super::{Refusal, RefusalKind, State};
use crate::clock::Moment;
use crate::enrollment::{self, NewToken};

/// The most clusters: one for each company, many times over.
const MAX_CLUSTERS: usize = 1_000;
/// The most enrollment tokens: each lasts for a quarter of an hour, and somebody brings it to a host.
const MAX_TOKENS: usize = 1_000;
/// The most tokens that were used and are still remembered: as many as there may be members.
const MAX_SPENT: usize = 10_000;

impl State {
    /// Makes a cluster. One that is there already is no error.
    pub fn create_cluster(&mut self, name: ClusterName, at: Moment) -> Result<ClusterRecord, Refusal> {
        if let Some(there) = self.clusters.get(&name) {
            return Ok(there.clone());
        }
        if name.as_str() == Association::SERVER {
            let message =
                format!("`{name}` is what systems are associated with that no cluster works on: choose another");
            return Err(Refusal::field("name", message));
        }
        if self.clusters.len() >= MAX_CLUSTERS {
            return Err(Refusal::new(
                RefusalKind::Overloaded,
                format!("a controller has at most {MAX_CLUSTERS} clusters: use one of those there are"),
            ));
        }
        let record = ClusterRecord { name: name.clone(), created: at.wall };
        self.clusters.insert(name, record.clone());
        self.writes.push(Write::Cluster(record.clone()));
        Ok(record)
    }

    /// Every cluster.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterRecord> {
        self.clusters.values()
    }

    /// Makes a token into a cluster that exists.
    pub fn create_token(
        &mut self,
        cluster: ClusterName,
        asked: Option<&Asked>,
        at: Moment,
    ) -> Result<Done<NewToken>, Refusal> {
        let find = |state: &Self, once: &OnceRecord, secret: &TokenSecret| {
            let Made::EnrollmentToken(id) = &once.made else { return None };
            let record = state.tokens.get(id)?.clone();
            Some(NewToken::of(record, secret, state.authority.signing().spki_sha256()))
        };
        self.once(asked, at, find, |state, secret| state.new_token(cluster, secret, at))
    }

    fn new_token(
        &mut self,
        cluster: ClusterName,
        secret: &TokenSecret,
        at: Moment,
    ) -> Result<Making<NewToken>, Refusal> {
        self.known_cluster(&cluster)?;
        if self.tokens.len() >= MAX_TOKENS + MAX_SPENT {
            return Err(Refusal::new(
                RefusalKind::Overloaded,
                format!(
                    "{MAX_SPENT} tokens were used within a day, and are remembered for so long: try again tomorrow"
                ),
            ));
        }
        // One that was used is remembered for an answer that was lost, and keeps nobody from enrolling.
        if self.tokens.values().filter(|it| it.used.is_none()).count() >= MAX_TOKENS {
            return Err(Refusal::new(
                RefusalKind::Overloaded,
                format!("{MAX_TOKENS} tokens are open: use them, or wait a quarter of an hour until they run out"),
            ));
        }
        let new = enrollment::make(cluster, secret, self.authority.signing().spki_sha256(), at.wall);
        self.tokens.insert(new.record.id, new.record.clone());
        let (made, write) = (Made::EnrollmentToken(new.record.id), Write::Token(new.record.clone()));
        Ok(Making { it: new, made, write })
    }

    pub(super) fn forget_stale_tokens(&mut self, at: Moment) {
        let stale: Vec<_> =
            self.tokens.values().filter(|it| enrollment::is_stale(it, at.wall)).map(|it| it.id).collect();
        for id in stale {
            self.tokens.remove(&id);
            self.writes.push(Write::ForgetToken(id));
        }
    }

    /// The keys that secrets for a cluster are sealed to: the newest of each of its enabled members. What was announced
    /// is on the member's disk, and on ours before this answer leaves.
    pub fn sealing_keys(&self, cluster: &ClusterName) -> Result<Vec<(MemberId, SealingPublicKey)>, Refusal> {
        self.known_cluster(cluster)?;
        let keys: Vec<_> = self.newest_keys(cluster).collect();
        if keys.len() > MAX_RECIPIENTS {
            return Err(Refusal::conflict(format!(
                "cluster `{cluster}` has {} enabled members, and a secret is sealed to at most {MAX_RECIPIENTS}: have \
                     some rest with `postern-controller member disable`, or spread the members over several clusters",
                keys.len()
            )));
        }
        Ok(keys)
    }

    /// The newest key of each enabled member of a cluster, however many there are.
    pub(super) fn newest_keys(&self, cluster: &ClusterName) -> impl Iterator<Item = (MemberId, SealingPublicKey)> {
        self.enabled_members(cluster).filter_map(|it| Some((it.id, *it.sealing_keys.first()?)))
    }

    pub(super) fn known_cluster(&self, cluster: &ClusterName) -> Result<(), Refusal> {
        if self.clusters.contains_key(cluster) {
            return Ok(());
        }
        Err(Refusal {
            kind: RefusalKind::NotFound,
            field: Some("cluster"),
            message: format!(
                "there is no cluster `{cluster}`: make it with `postern-controller cluster create {cluster}`"
            ),
        })
    }

    /// The members of a cluster that may be given work.
    pub(super) fn enabled_members(&self, cluster: &ClusterName) -> impl Iterator<Item = &super::record::MemberRecord> {
        self.members
            .values()
            .map(|it| &it.record)
            .filter(move |it| it.cluster == *cluster && it.state == MembershipState::Enabled)
    }
}
