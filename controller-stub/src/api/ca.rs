//! `/v1/ca`: the authority's roots, and the rotation from one to another.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use postern_fail_point::Point;
use postern_protocol::plain::Chain;
use schemars::JsonSchema;
use serde::Deserialize;

use super::asked::{Body, Path};
use super::auth::Caller;
use super::{Api, Problem};
use crate::ca::{CaError, Root, RootNo};
use crate::clock;
use crate::root_rotation::Step;
use crate::spawn::blocking;
use crate::state::roots::{CaView, RootView};

pub(super) async fn show(State(api): State<Api>) -> Result<Json<CaView>, Problem> {
    let (view, newest) = api.desk.look_through(|state, _| (state.ca(), state.newest_root())).await?;
    with_kept(&api, view, newest).await
}

/// How a step is made.
#[derive(Deserialize, JsonSchema)]
pub(super) struct How {
    /// To begin with: a root that is kept, in place of a new one.
    root: Option<RootNo>,
    /// Whether members are left behind that do not have the roots yet.
    #[serde(default)]
    force: bool,
    /// The phase that whoever asks has seen: in another one nothing is done. Without it, `back` that is asked for again takes back
    /// one step more. Not for `begin`.
    from: Option<String>,
}

pub(super) async fn rotate(
    State(api): State<Api>,
    caller: Caller,
    Path(step): Path<String>,
    body: Body<How>,
) -> Result<Json<CaView>, Problem> {
    let How { root: kept, force, from } = body.said;
    let step = match (step.as_str(), kept) {
        ("begin", _) if from.is_some() => {
            return Err(Problem::field("from", "`begin` is made while there is no rotation, and from no other phase"));
        }
        ("begin", kept) => return begin(&api, &caller, kept).await,
        (_, Some(_)) => return Err(Problem::field("root", "only `begin` is about a certain root")),
        ("switch", None) => Step::Switch,
        ("finish", None) => Step::Finish,
        ("back", None) => Step::Back,
        (other, None) => {
            let detail = format!("a rotation has no step `{other}`: use begin, switch, finish or back");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
    };
    let on = if force { format!("{}, forced", step.name()) } else { step.name().to_owned() };
    let decided = api.desk.act(&caller, on, move |state, at| {
        let view = state.rotate(step, from.as_deref(), force, at)?;
        Ok((view, state.newest_root()))
    });
    let (view, newest) = decided.await?;
    with_kept(&api, view, newest).await
}

/// The root is on disk before anybody hears of it.
async fn begin(api: &Api, caller: &Caller, kept: Option<RootNo>) -> Result<Json<CaView>, Problem> {
    let root = match root_to_come(api, kept).await {
        Ok(root) => root,
        Err(problem) => {
            let on = kept.map_or_else(|| "begin".to_owned(), |root| format!("begin, root {root}"));
            api.desk.turn_away(caller, on, problem.detail.clone()).await?;
            return Err(problem);
        }
    };
    Point::RootMade.reach();
    let decided = api.desk.act(caller, format!("begin, root {}", root.number()), move |state, at| {
        let view = state.begin_rotation(root, at)?;
        Ok((view, state.newest_root()))
    });
    let (view, newest) = decided.await?;
    with_kept(api, view, newest).await
}

/// The root that a rotation would begin with, from the disk or made there.
async fn root_to_come(api: &Api, kept: Option<RootNo>) -> Result<Root, Problem> {
    let number = api.desk.look(move |state, _| state.root_to_come(kept)).await??;
    let directory = api.data_dir.clone();
    let open = if kept.is_some() { Root::open } else { Root::make };
    let opened = blocking(move || open(&directory, number, clock::wall())).await;
    opened.map_err(|error: CaError| {
        let status = if kept.is_some() { StatusCode::CONFLICT } else { StatusCode::INTERNAL_SERVER_ERROR };
        Problem::new(status, Chain(&error).to_string())
    })
}

/// Adds the roots whose files are there although nobody trusts them.
async fn with_kept(api: &Api, mut view: CaView, newest: RootNo) -> Result<Json<CaView>, Problem> {
    let trusted: Vec<RootNo> = view.roots.iter().map(|it| it.number).collect();
    let directory = api.data_dir.clone();
    let kept = blocking(move || {
        let others = (RootNo::FIRST.0..=newest.0).map(RootNo).filter(|it| !trusted.contains(it));
        let kept = others.filter(|it| Root::is_kept(&directory, *it));
        // One that cannot be read is said when it is wanted.
        kept.filter_map(|it| Root::open(&directory, it, clock::wall()).ok())
            .map(|it| RootView::new(&it, "kept"))
            .collect()
    });
    let kept: Vec<RootView> = kept.await;
    for mut root in kept {
        root.certificates = view.members.iter().filter(|it| it.certificate_root == root.number).count();
        view.roots.push(root);
    }
    Ok(Json(view))
}
