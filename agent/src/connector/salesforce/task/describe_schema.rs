//! The schema in force, refreshed from what the org says of itself.

use std::io::Write as _;

use postern_protocol::bounded::{List, Text};
use postern_protocol::outcome::Changed;
use postern_protocol::task::describe_schema::{Output, Request};
use postern_protocol::task::export::RESULT_KEY;
use postern_protocol::{Failure, FailureClass};

use super::super::Salesforce;
use super::super::schema::Schema;
use super::super::schema::describe::HIDDEN;
use super::{name_all, refused};
use crate::connector::{AttemptCx, Conclusion, unwritten};

pub(in super::super) async fn run(org: &Salesforce, it: Request, cx: &AttemptCx) -> Result<Conclusion, Failure> {
    let names: Vec<&str> =
        if it.objects.is_empty() { org.schema.names() } else { it.objects.iter().map(Text::as_str).collect() };
    let (mut schema, mut warnings) = (Schema { objects: Vec::new() }, Vec::new());
    for name in names {
        let Some(object) = org.schema.object(name) else {
            let summary = format!("The schema has no object `{name}`; it has: {}", org.schema.names().join(", "));
            return Err(refused("unknown_object", summary));
        };
        let names = object.attributes.iter().map(|attribute| attribute.name.as_str());
        let names: Vec<&str> = names.chain(added(&it, &object.name)).collect();
        let described = match org.describe_for(&object.name, &names).await {
            Ok(described) => described,
            Err(failure) if failure.code.as_str() == HIDDEN => {
                warnings.push(format!("{}. {}", failure.summary.as_str(), failure.next_step.as_str()));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let (mut refreshed, mut lacking) = object.refreshed(&described);
        if it.custom {
            refreshed.add_custom(&described);
        }
        for added in added(&it, &object.name) {
            if !refreshed.add(added, &described) {
                lacking.push(added.to_owned());
            }
        }
        let what = format!("{} of this org lacks these attributes, so they are left out", object.name);
        warnings.extend(name_all(&what, &lacking));
        schema.objects.push(refreshed);
    }
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let output = Output {
        objects: count(schema.objects.len()),
        attributes: count(schema.objects.iter().map(|object| object.attributes.len()).sum()),
        warnings: List::clipped(warnings.into_iter().map(Text::clipped).collect()),
    };
    let mut payload = cx.journal.payload(RESULT_KEY)?;
    let written = tokio::task::spawn_blocking(move || {
        payload.write_all(schema.to_xml().as_bytes()).map_err(|error| unwritten(&error))?;
        payload.finish()
    });
    let crashed = |_| Failure::new(FailureClass::Internal, "writer_crashed", "writing the schema ended in a defect");
    let (stream, key) = written.await.map_err(crashed)??;
    let conclusion = Conclusion::succeeded(output, Changed::No).with_sealed([key]);
    Ok(Conclusion { payload: Some(stream), ..conclusion })
}

/// The attributes to be added to an object.
fn added<'a>(it: &'a Request, object: &str) -> Vec<&'a str> {
    let parts = it.add.iter().filter_map(|added| added.as_str().split_once('.'));
    parts.filter(|(of, _)| of.eq_ignore_ascii_case(object)).map(|(_, name)| name).collect()
}
