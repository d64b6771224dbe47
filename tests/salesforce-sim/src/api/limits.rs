//! What is left of the org's allowances.

use serde_json::json;

use super::call::Call;
use crate::http::reply::Reply;
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
