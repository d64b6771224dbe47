//! The connected systems that are served, and which offers can be taken for them.

use std::sync::Arc;
use std::time::Duration;

use postern_agent_core::Refusal;
use postern_protocol::bounded::{List, Text};
use postern_protocol::message::v1::{self, LogLevelSet, LogLevelVerdict, Offer, Rejection, ServedSystem, SetLogLevel};
use postern_protocol::{SystemName, TaskKind, TaskRequest};

use super::{Executor, brings_password};
use crate::clock;
use crate::connector::{Calls, CallsLeft, Connector, Route};
use crate::keys::SealingKeys;
use crate::policy::Admission;
use crate::telemetry::{self, By, Temporary, Topic, may_tell_of};

/// When a signed task may be offered again that was made later than this host's clock says that it is: soon beside what it takes
/// to put a clock right.
const EARLY_AGAIN: Duration = Duration::from_secs(60);

/// A connected system that is served.
pub struct Served {
    /// What works on it.
    pub connector: Arc<dyn Connector>,
    /// What may be done to it.
    pub admission: Arc<Admission>,
}

impl Executor {
    /// What can be announced to a controller.
    pub fn served(&self) -> Vec<ServedSystem> {
        self.systems
            .iter()
            .map(|(name, Served { connector, .. })| ServedSystem {
                name: name.clone(),
                connector: Text::clipped(connector.name()),
                kinds: List::clipped(connector.supports().iter().map(|kind| (*kind).into()).collect()),
                connection: connection(name, connector.route()),
            })
            .collect()
    }

    /// Every connected system that is served, and what works on it.
    pub fn connectors(&self) -> impl Iterator<Item = (&SystemName, &Arc<dyn Connector>)> {
        self.systems.iter().map(|(name, served)| (name, &served.connector))
    }

    /// A controller wants another level to be logged of a connected system.
    pub fn set_log_level(&self, it: &SetLogLevel) -> LogLevelSet {
        let answer = |verdict: LogLevelVerdict| LogLevelSet {
            number: it.number,
            system: it.system.clone(),
            verdict: verdict.into(),
        };
        let (Some(served), Some(level)) = (self.systems.get(&it.system), it.level.known()) else {
            return answer(LogLevelVerdict::Unknown);
        };
        let system = &it.system;
        let (_, before) = telemetry::levels().now(Some(system.as_str()), clock::now());
        if it.for_ms == 0 {
            telemetry::levels().reset(Some(system));
            if before.is_some() && may_tell_of(Topic::Levels) {
                tracing::warn!(%system, "the controller has what the configuration says be logged again");
            }
            return answer(LogLevelVerdict::Done);
        }
        if !served.admission.policy().lets_log(level) {
            if may_tell_of(Topic::Levels) {
                tracing::warn!(%system, %level, "the policy refused a log level that the controller wanted");
            }
            return answer(LogLevelVerdict::NotAllowed);
        }
        let length = Duration::from_millis(it.for_ms).min(telemetry::LONGEST);
        telemetry::levels().set(Some(system), Temporary { level, until: clock::now() + length, by: By::Controller });
        // It is said in every session.
        if before.is_none_or(|before| before.level != level) && may_tell_of(Topic::Levels) {
            let secs = length.as_secs();
            tracing::warn!(%system, %level, secs, "the controller has another level be logged for a while");
        }
        answer(LogLevelVerdict::Done)
    }

    /// How many more calls each connected system takes.
    pub fn calls_left(&self) -> impl Iterator<Item = (&SystemName, Option<CallsLeft>)> {
        self.systems.iter().map(|(name, served)| (name, served.connector.calls_left()))
    }

    /// How much each connected system is asked.
    pub fn calls(&self) -> Vec<(SystemName, Calls)> {
        self.systems.iter().map(|(name, served)| (name.clone(), served.connector.calls())).collect()
    }

    /// Whether a kind of task can be done on a system.
    pub fn check(&self, system: &SystemName, kind: TaskKind) -> Result<(), Refusal> {
        let Some(Served { connector, .. }) = self.systems.get(system) else {
            let message = format!(
                "this agent has no connected system `{system}`; add a `[[connected_system]]` of that name to its \
                 configuration"
            );
            return Err(Refusal::lasting(Rejection::Unsupported, message));
        };
        if connector.supports().contains(&kind) {
            return Ok(());
        }
        let message = format!("the connector `{}` cannot do {kind}", connector.name());
        Err(Refusal::lasting(Rejection::Unsupported, message))
    }

    /// Whether the policy takes a controller's word for a task of a system that is served.
    pub fn check_signature(&self, offer: &Offer) -> Result<(), Refusal> {
        let Some(Served { admission, .. }) = self.systems.get(&offer.system) else { return Ok(()) };
        let refused = admission.check_signature(offer);
        refused.map_err(|refused| match refused.again {
            // A clock is put right sooner or later.
            Some(_) => Refusal::overloaded(refused.to_string(), EARLY_AGAIN),
            None => Refusal::lasting(Rejection::BadSignature, refused.to_string()),
        })
    }

    /// Whether the policy lets a task of a system that is served be taken.
    pub fn check_policy(&self, offer: &Offer, request: &TaskRequest) -> Result<(), Refusal> {
        let Some(Served { admission, .. }) = self.systems.get(&offer.system) else { return Ok(()) };
        let refused = admission.check_request(request, brings_password(offer));
        refused.map_err(|refused| {
            let refused = refused.to_string();
            let Offer { task, kind, system, .. } = offer;
            if may_tell_of(Topic::Offers) {
                tracing::warn!(%task, %kind, %system, refused, "the policy refused a task");
            }
            Refusal::lasting(Rejection::Policy, refused)
        })
    }

    /// The keys that secrets for this agent are sealed to.
    pub const fn keys(&self) -> &SealingKeys {
        &self.keys
    }

    /// Whether this agent can open every sealed field of an offer.
    pub fn check_sealed(&self, offer: &Offer) -> Result<(), Refusal> {
        let keys = self.keys.all();
        let Some(field) = offer.sealed.iter().find(|field| !field.is_for(&keys)) else { return Ok(()) };
        let message = format!("the field `{}` is sealed to keys that this member does not have", field.name);
        Err(Refusal::lasting(Rejection::NeedsReseal, message))
    }
}

fn connection(name: &SystemName, route: Route) -> v1::Connection {
    v1::Connection {
        domain: Text::clipped(route.domain),
        login_method: Text::clipped(route.login_method),
        secure: route.secure,
        compression: route.compression,
        connect_timeout_secs: route.connect_timeout_secs,
        log_level: telemetry::levels().configured(Some(name.as_str())).into(),
    }
}
