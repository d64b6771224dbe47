//! What became of one record of a job.

use crate::id::RecordId;
use crate::problem::Problem;

/// From waiting to done or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Waiting,
    Done {
        id: RecordId,
        created: bool,
    },
    Failed {
        /// What the record named as its id; records to be made name none.
        id: Option<RecordId>,
        error: Box<str>,
    },
}

/// The text of `sf__Error`: `CODE:message:Field1 Field2 --`, or `CODE:message:--`.
pub(crate) fn sf_error(problem: &Problem) -> Box<str> {
    let fields = problem.fields.join(" ");
    let blank = if fields.is_empty() { "" } else { " " };
    format!("{}:{}:{fields}{blank}--", problem.code, problem.message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two forms a real org was seen to give.
    #[test]
    fn an_error_names_code_message_and_fields() {
        let mut problem = Problem::new("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name, Email]");
        assert_eq!(&*sf_error(&problem), "REQUIRED_FIELD_MISSING:Required fields are missing: [Name, Email]:--");
        problem.fields = vec!["Name", "Email"];
        assert!(sf_error(&problem).ends_with("]:Name Email --"));
    }
}
