//! What the request says about attributes and systems, ready to be asked.

use std::collections::HashMap;

use postern_protocol::task::import_batch::{Difference, DynamicSystem, Request, TRANSACTION_SYSTEM_NAME};
use postern_protocol::{Failure, FailureClass, SystemName};

use super::naming::Naming;
use super::plan::Refused;
use super::unit::Kind;
use crate::connector::salesforce::schema::describe::{Described, canonical};

/// The resolved request.
pub(super) struct Choices {
    pub(super) all_or_none: bool,
    pub(super) dry_run: bool,
    /// More rows than this go in bulk.
    pub(super) bulk_threshold: usize,
    /// The attribute, as the org spells it, that tells a new user from any other.
    pub(super) marker: Option<String>,
    /// Canonical; empty: the account's name.
    pub(super) audit_key: String,
    pub(super) naming: Naming,
    system: SystemName,
    names_its_system: bool,
    rules: HashMap<String, Treatment>,
}

/// How one attribute is treated.
#[derive(Debug, Clone, Copy)]
struct Treatment {
    difference: Difference,
    encrypted: bool,
    audited: bool,
}

const REPLACED: Treatment = Treatment { difference: Difference::Replace, encrypted: false, audited: false };

impl Choices {
    /// Understands a request. One that asks for what this org or this version cannot do is refused as a whole.
    pub(super) fn of(
        request: &Request,
        schema: &Described,
        system: &SystemName,
        marker: Option<&str>,
    ) -> Result<Self, Failure> {
        let mut rules: HashMap<String, Treatment> = HashMap::new();
        for rule in &request.attributes {
            let name = canonical(&rule.attribute);
            let Some(difference) = rule.difference.known() else {
                return Err(refused("unknown_difference", format!("this version knows no {}", rule.difference)));
            };
            check_rule(&name, difference, rule.encrypted, schema)?;
            if rules.contains_key(&name) {
                return Err(refused("attribute_twice", format!("the request has two rules for `{}`", rule.attribute)));
            }
            rules.insert(name, Treatment { difference, encrypted: rule.encrypted, audited: rule.audited });
        }
        let is_hidden = |name: &str| name == "password" || rules.get(name).is_some_and(|rule| rule.encrypted);
        let naming = Naming::of(request, schema, is_hidden)?;
        Ok(Self {
            marker: marker.map(|name| marker_of(name, schema)).transpose()?,
            all_or_none: request.all_or_none,
            dry_run: request.dry_run,
            bulk_threshold: usize::try_from(request.bulk_threshold).unwrap_or(usize::MAX),
            audit_key: canonical(&request.audit_key),
            naming,
            system: system.clone(),
            names_its_system: names_its_system(request, system)?,
            rules,
        })
    }

    pub(super) fn difference(&self, name: &str) -> Difference {
        self.treatment(name).difference
    }

    /// Whether the values of an attribute are shown nowhere.
    pub(super) fn is_encrypted(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("password") || self.treatment(name).encrypted
    }

    pub(super) fn is_audited(&self, name: &str) -> bool {
        self.treatment(name).audited
    }

    /// Whether its values are told, to the audit log or in a plan: those that somebody asked for or that were compared.
    pub(super) fn tells(&self, name: &str) -> bool {
        self.dry_run || self.is_audited(name) || self.difference(name) != Difference::Replace
    }

    /// Whether anything is audited at all.
    pub(super) fn audits(&self) -> bool {
        self.rules.values().any(|it| it.audited)
    }

    /// Whether an entry that names `named` is for this system.
    pub(super) fn check_system(&self, named: Option<&str>) -> Result<(), Refused> {
        match (self.names_its_system, named.map(str::trim).filter(|it| !it.is_empty())) {
            (false, None) => Ok(()),
            (false, Some(_)) => Err(Refused::new(
                "system_not_dynamic",
                format!("the entry has `{TRANSACTION_SYSTEM_NAME}`, and the task does not go by it"),
            )),
            (true, None) => Err(Refused::new(
                "system_missing",
                format!("the entry lacks `{TRANSACTION_SYSTEM_NAME}`, which says which connected system it is for"),
            )),
            (true, Some(named)) if named == self.system.as_str() => Ok(()),
            (true, Some(named)) => {
                let named: String = named.chars().take(64).collect();
                let message =
                    format!("the entry is for `{named}`, and the task runs on `{}`; submit it there", self.system);
                Err(Refused::new("other_system", message))
            }
        }
    }

    fn treatment(&self, name: &str) -> Treatment {
        self.rules.get(&name.to_ascii_lowercase()).copied().unwrap_or(REPLACED)
    }
}

fn check_rule(name: &str, difference: Difference, encrypted: bool, schema: &Described) -> Result<(), Failure> {
    if matches!(name, "id" | "username" | "original_username") && encrypted {
        return Err(refused(
            "name_encrypted",
            format!("`{name}` names accounts in the results and cannot be encrypted"),
        ));
    }
    if matches!(name, "id" | "original_username" | "password") || Kind::of(name).is_some() {
        return Ok(());
    }
    let Some(field) = schema.find(name) else {
        return Err(refused("unknown_attribute", format!("users of this org have no field `{name}`")));
    };
    let by_value = matches!(difference, Difference::AddDiffWithTarget | Difference::RemoveDiffWithTarget);
    if by_value && !field.is_multi_valued() {
        return Err(refused(
            "not_multi_valued",
            format!("`{}` holds one value, so {difference} means nothing", field.name),
        ));
    }
    Ok(())
}

/// Whether entries name their system. A variable that names another than this one ends the task.
fn names_its_system(request: &Request, system: &SystemName) -> Result<bool, Failure> {
    let wanted = &request.system_variable;
    match request.dynamic_system.known() {
        // Whoever names a variable means the dataset for the system in it alone.
        Some(way @ (DynamicSystem::None | DynamicSystem::TransactionSystemName)) if !wanted.is_empty() => {
            let summary = format!("the request names the variable `{wanted}`, and `{way}` looks at none");
            Err(refused("variable_unused", summary))
        }
        Some(DynamicSystem::None) => Ok(false),
        Some(DynamicSystem::TransactionSystemName) => Ok(true),
        Some(DynamicSystem::GlobalVariable) => {
            let mut variables = request.variables.iter().filter(|it| it.name == *wanted);
            let value = variables.next().map(|it| it.value.as_str());
            if variables.next().is_some() {
                return Err(refused("variable_twice", format!("the request has two variables `{wanted}`")));
            }
            match value {
                Some(value) if value == system.as_str() => Ok(false),
                Some(value) => Err(refused(
                    "other_system",
                    format!(
                        "the variable `{wanted}` names `{value}`, and the task runs on `{system}`; submit it there"
                    ),
                )),
                None => Err(refused("variable_missing", format!("the request has no variable `{wanted}`"))),
            }
        }
        None => Err(refused("unknown_dynamic_system", format!("this version knows no {}", request.dynamic_system))),
    }
}

fn marker_of(name: &str, schema: &Described) -> Result<String, Failure> {
    let field = schema.find(name).ok_or_else(|| {
        let summary = format!("users of this org have no field `{name}`, which `create_marker` names");
        Failure::new(FailureClass::Rejected, "unknown_attribute", summary)
            .with_next_step("Correct `create_marker` in the agent's configuration; nothing was changed.")
    })?;
    Ok(field.name.clone())
}

pub(super) fn refused(code: &str, summary: String) -> Failure {
    Failure::new(FailureClass::Rejected, code, summary)
        .with_next_step("Correct the options of the request and submit it again; nothing was changed.")
}
