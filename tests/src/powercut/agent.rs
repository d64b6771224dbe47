//! An agent's store at work, and what has to be found of it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::JoinHandle;

use data_encoding::HEXLOWER;
use futures_util::future;
use postern_agent::store::{AgentStoreError, Store, spool_id};
use postern_protocol::StreamId;
use postern_store::{Home, Spool, SpoolError};

use super::Wrong;
use super::dice::Dice;
use super::script::{Contents, Held, Payload, Script, Step, system};
use super::told::{Told, Word};

/// The fact that a connector keeps, and the bucket beside it.
const FACT: &str = "fact";
/// Parts of a bucket's content, which the store cuts where it likes.
const REPEATED: usize = 700;

/// Works until `steps` more are done. What it says is durable.
///
/// # Errors
///
/// What the disk did not do.
pub fn work(folder: &Path, seed: u64, steps: u64, say: &(impl Fn(Word) + Sync)) -> Result<(), AgentStoreError> {
    let (store, _) = Store::open_in(&Home::with_key_file(folder))?;
    let begun = store.restore()?.session.0;
    say(Word::Opened(HEXLOWER.encode(store.incarnation().as_bytes())));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let busy = Cell::new(true);
        let steps = async {
            let done = play(&store, Script::at(seed, begun), begun + steps, say).await;
            busy.set(false);
            done
        };
        let (played, kept) = future::join(steps, keep_facts(&store, &busy, say)).await;
        played.and(kept)
    })
}

async fn play(
    store: &Store,
    mut script: Script,
    until: u64,
    say: &(impl Fn(Word) + Sync),
) -> Result<(), AgentStoreError> {
    let mut coming: BTreeMap<StreamId, JoinHandle<Result<(), SpoolError>>> = BTreeMap::new();
    let mut said = BTreeSet::new();
    // What was on its way when the last worker ended is announced again.
    for stream in script.contents().payloads().0 {
        if !store.spool().contains(spool_id(stream.id)) {
            coming.insert(stream.id, receive(store.spool().clone(), script.payload(stream.id)));
        }
    }
    while script.number() < until {
        let Step { before, writes, beside, forgotten } = script.step();
        if let Some(payload) = before {
            receive(store.spool().clone(), payload).join().expect("the spool's thread")?;
        }
        store.commit(&writes).await?;
        say(Word::Step(script.number()));
        if let Some(payload) = beside {
            coming.insert(payload.stream.id, receive(store.spool().clone(), payload));
        }
        for stream in forgotten {
            if let Some(thread) = coming.remove(&stream) {
                thread.join().expect("the spool's thread")?;
            }
            store.spool().delete(spool_id(stream))?;
        }
        for (stream, _) in coming.iter().filter(|(_, thread)| thread.is_finished()) {
            if said.insert(*stream) && store.spool().contains(spool_id(*stream)) {
                say(Word::Payload(spool_id(*stream).to_string()));
            }
        }
    }
    coming.into_values().try_for_each(|thread| Ok(thread.join().expect("the spool's thread")?))
}

/// A payload comes in, in pieces, some of which are made durable on the way.
fn receive(spool: Spool, payload: Payload) -> JoinHandle<Result<(), SpoolError>> {
    std::thread::spawn(move || {
        let Payload { stream, bytes } = payload;
        let mut dice = Dice::new(stream.length, 2);
        let mut writer = spool.write(spool_id(stream.id), stream.length)?;
        let mut rest = bytes.get(usize::try_from(writer.offset()).unwrap_or(usize::MAX)..).unwrap_or_default();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + dice.index(64 * 1024)).min(rest.len()));
            writer.append(piece)?;
            if dice.one_in(2) {
                writer.sync()?;
            }
            rest = behind;
        }
        writer.finish(&stream.sha256)
    })
}

/// A connector keeps small facts meanwhile, so that groups hold more than one commit.
async fn keep_facts(store: &Store, busy: &Cell<bool>, say: &(impl Fn(Word) + Sync)) -> Result<(), AgentStoreError> {
    let mut number = fact(store)?;
    while busy.get() {
        // The last worker may have ended between a fact and its bucket.
        if number > 0 {
            store.keep_buckets(&system(), &[(FACT.to_owned(), Some(bucket(number)))]).await?;
            say(Word::Fact(number));
        }
        number += 1;
        store.keep(&system(), FACT, &number.to_be_bytes()).await?;
    }
    Ok(())
}

fn bucket(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(REPEATED)
}

fn fact(store: &Store) -> Result<u64, AgentStoreError> {
    Ok(store.recall(&system(), FACT)?.and_then(|it| it.try_into().ok()).map_or(0, u64::from_be_bytes))
}

/// Opens the store as an agent does at its start, and compares it with what has to be there.
///
/// # Errors
///
/// What is not as it must be.
pub fn audit(folder: &Path, seed: u64, told: &Told) -> Result<Told, Wrong> {
    let unopenable = |error: AgentStoreError| Wrong::Unopenable(chain(&error));
    let (store, recovered) = Store::open_in(&Home::with_key_file(folder)).map_err(unopenable)?;
    if let Some(aside) = recovered.and_then(|it| it.moved_aside) {
        return Err(Wrong::Unopenable(aside.reason));
    }
    let incarnation = HEXLOWER.encode(store.incarnation().as_bytes());
    if told.incarnation.as_ref().is_some_and(|it| *it != incarnation) {
        return Err(Wrong::Lost("the store itself: it has another incarnation".to_owned()));
    }
    let found = contents(&store).map_err(unopenable)?;
    let step = found.session.0;
    if step < told.step {
        return Err(Wrong::Lost(format!("step {step} is the last and {} was told", told.step)));
    }
    let script = Script::at(seed, step);
    if *script.contents() != found {
        return Err(Wrong::NoPrefix(difference(script.contents(), &found)));
    }
    let fact = check_fact(&store, told)?;
    let payloads = check_payloads(folder, &store, &script, told)?;
    Ok(Told { incarnation: Some(incarnation), step, fact, payloads })
}

fn contents(store: &Store) -> Result<Contents, AgentStoreError> {
    let restored = store.restore()?;
    let mut contents = Contents {
        tasks: BTreeMap::new(),
        reports: restored.reports.into_iter().map(|report| (report.number, report)).collect(),
        tombstones: restored.tombstones.into_iter().map(|stone| (stone.task, stone)).collect(),
        next_report: restored.next_report,
        session: restored.session,
        membership: restored.membership,
    };
    for task in restored.tasks {
        let journal = store.journal(task.offer.task).collect::<Result<Vec<_>, _>>()?;
        let (id, offer) = (task.offer.task, task.offer);
        contents.tasks.insert(id, Held { offer, origin: task.origin, state: task.state, journal });
    }
    Ok(contents)
}

/// The last fact whose bucket is there. The bucket is kept behind the fact, whole or not at all.
fn check_fact(store: &Store, told: &Told) -> Result<u64, Wrong> {
    let unopenable = |error: AgentStoreError| Wrong::Unopenable(chain(&error));
    let last = fact(store).map_err(unopenable)?;
    let found = store.bucket(&system(), FACT).map_err(unopenable)?;
    let is_of = |number: u64| found.as_ref().map_or(number == 0, |found| *found == bucket(number));
    let whole = if is_of(last) { last } else { last.saturating_sub(1) };
    if !is_of(whole) {
        return Err(Wrong::NoPrefix(format!("the bucket does not belong to fact {last}")));
    }
    if whole < told.fact {
        return Err(Wrong::Lost(format!("fact {whole} is the last and {} was told", told.fact)));
    }
    Ok(whole)
}

/// Every payload that is named and was told to be there is whole, and nothing else is in the spool.
fn check_payloads(folder: &Path, store: &Store, script: &Script, told: &Told) -> Result<BTreeSet<String>, Wrong> {
    let (of_tasks, of_reports) = script.contents().payloads();
    let mut whole = BTreeSet::new();
    for (stream, is_told) in of_tasks.iter().map(|it| (it, false)).chain(of_reports.iter().map(|it| (it, true))) {
        let id = spool_id(stream.id);
        if is_told || told.payloads.contains(&id.to_string()) || store.spool().contains(id) {
            let verified = store.spool().verify(id, stream.length, &stream.sha256);
            verified.map_err(|error| Wrong::Payload(chain(&error)))?;
            if !is_told {
                whole.insert(id.to_string());
            }
        }
    }
    let named: BTreeSet<String> = of_tasks.iter().chain(&of_reports).map(|it| spool_id(it.id).to_string()).collect();
    let entries = std::fs::read_dir(folder.join("store/spool")).map_err(|error| Wrong::Payload(error.to_string()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !named.contains(name.trim_end_matches(".part")) {
            return Err(Wrong::Payload(format!("`{name}` is in the spool and nothing refers to it")));
        }
    }
    Ok(whole)
}

fn difference(expected: &Contents, found: &Contents) -> String {
    let tasks = |contents: &Contents| contents.tasks.keys().map(ToString::to_string).collect::<Vec<_>>();
    let reports = |contents: &Contents| contents.reports.keys().map(|it| it.0).collect::<Vec<_>>();
    format!(
        "step {} is there and it is not what it was: tasks {:?} instead of {:?}, reports {:?} instead of {:?}",
        found.session.0,
        tasks(found),
        tasks(expected),
        reports(found),
        reports(expected)
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |it| it.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}
