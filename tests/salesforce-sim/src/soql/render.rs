//! Writes found rows as the JSON of a query answer.

use super::plan::Node;
use crate::org::table::{Row, Tables};
use crate::schema::ObjectKind;
use crate::value::write_json_text;

/// Appends one record with its `attributes`, its fields and its parents.
pub(crate) fn record(out: &mut String, version: &str, kind: ObjectKind, nodes: &[Node], row: &Row, tables: &Tables) {
    attributes(out, version, kind, row);
    for node in nodes {
        out.push(',');
        match node {
            Node::Field { column, name } => {
                write_json_text(name, out);
                out.push(':');
                row.get(*column).write_json(out);
            }
            Node::Parent { column, name, kind, nodes } => {
                write_json_text(name, out);
                out.push(':');
                match row.get(*column).as_id().and_then(|id| tables.of(*kind).get(id)) {
                    Some(parent) => record(out, version, *kind, nodes, parent, tables),
                    None => out.push_str("null"),
                }
            }
        }
    }
    out.push('}');
}

/// Appends a record with every field of its object, as a plain read answers.
pub(crate) fn whole(out: &mut String, version: &str, kind: ObjectKind, row: &Row) {
    attributes(out, version, kind, row);
    for (column, field) in kind.object().fields.iter().enumerate() {
        out.push(',');
        write_json_text(field.name, out);
        out.push(':');
        row.get(column).write_json(out);
    }
    out.push('}');
}

fn attributes(out: &mut String, version: &str, kind: ObjectKind, row: &Row) {
    let name = kind.object().name;
    out.push_str("{\"attributes\":{\"type\":\"");
    out.push_str(name);
    out.push_str("\",\"url\":\"/services/data/v");
    out.push_str(version);
    out.push_str("/sobjects/");
    out.push_str(name);
    out.push('/');
    out.push_str(&row.id.to_string());
    out.push_str("\"}");
}
