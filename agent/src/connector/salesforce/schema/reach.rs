//! An object with those its records refer to: attributes named by a path, as `Profile.UserLicense.Name`.

use postern_protocol::{Failure, FailureClass};

use super::super::Salesforce;
use super::describe::{Described, Field, HIDDEN, Kind};

/// Salesforce climbs so many references in one path.
const MAX_STEPS: usize = 5;
/// Descriptions are large, and a request may name many paths.
const MAX_PARENTS: usize = 16;

/// An object, and the objects that the paths in use lead to.
#[derive(Debug)]
pub(in super::super) struct Reach {
    /// The object itself.
    pub(in super::super) object: Described,
    parents: Vec<Described>,
}

/// A field that a path leads to, or a field of the object itself.
#[derive(Debug, Clone)]
pub(in super::super) struct Found<'a> {
    /// The path as Salesforce spells it.
    pub(in super::super) name: String,
    /// The field at its end.
    pub(in super::super) field: &'a Field,
}

impl Found<'_> {
    /// What its values are.
    pub(in super::super) fn kind(&self) -> Kind {
        self.field.kind()
    }
}

impl From<Described> for Reach {
    fn from(object: Described) -> Self {
        Self { object, parents: Vec::new() }
    }
}

impl Reach {
    /// The field of that name, or at the end of that path, however it is spelled.
    pub(in super::super) fn find(&self, path: &str) -> Option<Found<'_>> {
        let (steps, name) = split(path);
        let (mut object, mut spelled) = (&self.object, String::new());
        for step in steps {
            let (relationship, parent) = object.parent(step)?;
            object = self.described(parent)?;
            spelled.push_str(relationship);
            spelled.push('.');
        }
        let field = object.find(name)?;
        Some(Found { name: spelled + &field.name, field })
    }

    /// The next object on that path of which nothing is known yet.
    fn missing(&self, path: &str) -> Option<String> {
        let mut object = &self.object;
        for step in split(path).0 {
            let (_, parent) = object.parent(step)?;
            match self.described(parent) {
                Some(described) => object = described,
                None => return Some(parent.to_owned()),
            }
        }
        None
    }

    /// What is known of an object in reach.
    pub(in super::super) fn described(&self, name: &str) -> Option<&Described> {
        std::iter::once(&self.object).chain(&self.parents).find(|object| object.name == name)
    }
}

/// The references that a path climbs, and the attribute at its end. No path leads further than Salesforce climbs.
fn split(path: &str) -> (Vec<&str>, &str) {
    let mut steps: Vec<&str> = path.split('.').map(str::trim).collect();
    let name = steps.pop().unwrap_or_default();
    if steps.len() > MAX_STEPS { (Vec::new(), "") } else { (steps, name) }
}

impl Salesforce {
    /// Asks the org for an object, and for those that the paths among these names lead to. One of these that the
    /// account may not see has no attributes.
    pub(in super::super) async fn describe_for(&self, object: &str, names: &[&str]) -> Result<Reach, Failure> {
        let mut reach = Reach::from(self.describe(object).await?);
        for name in names {
            while let Some(missing) = reach.missing(name) {
                if reach.parents.len() >= MAX_PARENTS {
                    let summary = format!("The paths lead to more than {MAX_PARENTS} other objects");
                    return Err(Failure::new(FailureClass::Rejected, "too_many_objects", summary)
                        .with_next_step("Ask for fewer of them, or export the other objects by themselves"));
                }
                let fields = match self.describe(&missing).await {
                    Ok(described) => described.fields,
                    Err(failure) if failure.code.as_str() == HIDDEN => Vec::new(),
                    Err(failure) => return Err(failure),
                };
                reach.parents.push(Described::new(missing, fields));
            }
        }
        Ok(reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(name: &str, relationship: &str, to: &[&str]) -> Field {
        Field {
            name: name.to_owned(),
            type_name: "reference".to_owned(),
            relationship_name: Some(relationship.to_owned()),
            reference_to: to.iter().map(|name| (*name).to_owned()).collect(),
            ..Field::default()
        }
    }

    fn text(name: &str) -> Field {
        Field { name: name.to_owned(), type_name: "string".to_owned(), ..Field::default() }
    }

    fn reach() -> Reach {
        let user = vec![
            text("Username"),
            reference("ProfileId", "Profile", &["Profile"]),
            reference("ManagerId", "Manager", &["User"]),
            reference("DelegatedApproverId", "DelegatedApprover", &["Group", "User"]),
        ];
        let profile =
            Described::new("Profile", vec![text("Name"), reference("UserLicenseId", "UserLicense", &["UserLicense"])]);
        Reach { object: Described::new("User", user), parents: vec![profile] }
    }

    #[test]
    fn a_path_is_followed_in_any_case_and_spelled_as_salesforce_does() {
        let reach = reach();
        let spelled = |path: &str| reach.find(path).map(|found| found.name);
        for (path, expected) in [
            ("loginid", "Username"),
            ("PROFILE.name", "Profile.Name"),
            ("Manager.Manager.profile.Name", "Manager.Manager.Profile.Name"),
        ] {
            assert_eq!(spelled(path).as_deref(), Some(expected));
        }
        for path in [
            "Name",
            "Username.Name",
            "ProfileId.Name",
            "Profile.Titel",
            "DelegatedApprover.Name",
            "Profile.UserLicense.Name",
            "Manager.Manager.Manager.Manager.Manager.Manager.Username",
            ".Username",
            "Manager.",
            "",
        ] {
            assert_eq!(spelled(path), None, "{path}");
        }
    }

    #[test]
    fn what_has_to_be_asked_for_is_found_step_by_step() {
        let reach = reach();
        assert_eq!(reach.missing("Manager.Profile.UserLicense.Name").as_deref(), Some("UserLicense"));
        assert_eq!(reach.missing("Profile.Name"), None);
        assert_eq!(reach.missing("Nobody.Name"), None);
    }
}
