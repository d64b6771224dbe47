//! Whether an export has every record.

use super::super::ended::Ended;
use super::load;

pub(super) fn check(it: &Ended, names: &Result<Vec<String>, String>) -> Option<String> {
    if it.told.outcome != "succeeded" {
        return None;
    }
    match names {
        Err(error) => Some(format!("its file cannot be had: {error}")),
        Ok(names) => {
            let all: Vec<String> = (1..=load::ACCOUNTS).map(load::account).collect();
            let told = it.told.output["records"].as_u64().and_then(|it| usize::try_from(it).ok());
            (*names != all || told != Some(all.len()))
                .then(|| format!("{told:?} records were told, {} exported, {} there are", names.len(), all.len()))
        }
    }
}
