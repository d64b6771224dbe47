//! What is left of the org's allowances.

use serde_json::json;

use super::call::Call;
use crate::http::reply::Reply;
use crate::schema::ObjectKind;
use crate::world::World;

/// `GET limits`.
pub(crate) fn all(world: &mut World, call: &Call<'_>) -> Reply {
    world.tally.route("GET limits");
    let usage = &world.org(call.caller().org).usage;
    let full = |max: u64| json!({"Max": max, "Remaining": max});
    Reply::json(
        200,
        &json!({
            "DailyApiRequests": {"Max": usage.max, "Remaining": usage.max.saturating_sub(usage.used)},
            "DailyBulkApiBatches": full(15_000),
            "DailyBulkV2QueryFileStorageMB": full(976_562),
            "DailyBulkV2QueryJobs": full(10_000),
            "DataStorageMB": full(10_240),
            "FileStorageMB": full(10_240),
            "SingleEmail": full(5_000),
        }),
    )
}

/// `GET limits/recordCount`: objects without records are left out.
pub(crate) fn record_count(world: &mut World, call: &Call<'_>) -> Reply {
    world.tally.route("GET limits/recordCount");
    let wanted = call.parameter("sObjects");
    let names: Vec<&str> = wanted.as_deref().map(|it| it.split(',').map(str::trim).collect()).unwrap_or_default();
    let tables = &world.org(call.caller().org).tables;
    let counts: Vec<_> = ObjectKind::ALL
        .into_iter()
        .filter(|it| names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(it.object().name)))
        .map(|it| (it.object().name, tables.of(it).rows().len()))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| json!({"count": count, "name": name}))
        .collect();
    Reply::json(200, &json!({"sObjects": counts}))
}
