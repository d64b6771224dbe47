//! Planting bugs: a simulation that cannot fail proves nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, io};

use serde::Deserialize;

/// A bug to plant: one piece of text of one file becomes another.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What it does, in a sentence.
    pub name: String,
    /// The file, from the top of the repository.
    pub file: String,
    /// What stands there once.
    pub find: String,
    /// What it becomes.
    pub with: String,
    /// What is added at the end of the file.
    #[serde(default)]
    pub also: String,
    /// The same bug in the product, where this one is in the simulation's model of it.
    #[serde(default)]
    pub twin: Vec<Twin>,
}

/// A bug that the simulation cannot see, because it runs a model of what it is planted in: a test of that has to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twin {
    /// The file, from the top of the repository.
    pub file: String,
    /// What stands there once.
    pub find: String,
    /// What it becomes.
    pub with: String,
    /// The test of the connector that has to fail.
    pub test: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// Why bugs cannot be planted.
#[derive(Debug, thiserror::Error)]
pub enum PlantError {
    /// The list is not one.
    #[error("tests/sim/mutants.toml cannot be read")]
    List(#[from] toml::de::Error),
    /// What is to be replaced does not stand there once.
    #[error("`{name}`: its text stands {count} times in {file}, not once: adapt tests/sim/mutants.toml to the code")]
    Text {
        /// The mutant.
        name: String,
        /// The file.
        file: String,
        /// How often.
        count: usize,
    },
    /// A file or a program failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The simulation does not build, or fails without a bug.
    #[error("{0}")]
    Simulation(String),
}

/// The top of the repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every mutant.
pub fn all() -> Result<Vec<Mutant>, PlantError> {
    let list: List = toml::from_str(include_str!("../mutants.toml"))?;
    Ok(list.mutant)
}

impl Mutant {
    /// The text of its file, with the bug.
    pub fn planted(&self) -> Result<String, PlantError> {
        let text = planted(&self.name, &self.file, &self.find, &self.with)?;
        // The file's own tests may stand behind it: they are not built.
        Ok(format!("{text}\n{}\n", self.also))
    }
}

impl Twin {
    /// The text of its file, with the bug.
    pub fn planted(&self) -> Result<String, PlantError> {
        planted(&self.test, &self.file, &self.find, &self.with)
    }
}

fn planted(name: &str, file: &str, find: &str, with: &str) -> Result<String, PlantError> {
    let path = top().join(file);
    let text = fs::read_to_string(&path).map_err(failed(&format!("read {}", path.display())))?;
    let count = text.matches(find.trim_matches('\n')).count();
    if count != 1 {
        return Err(PlantError::Text { name: name.to_owned(), file: file.to_owned(), count });
    }
    Ok(text.replacen(find.trim_matches('\n'), with.trim_matches('\n'), 1))
}

/// A copy of the sources in which bugs are planted, with a build of its own.
pub struct Nursery {
    sources: PathBuf,
    target: PathBuf,
}

impl Nursery {
    /// Copies what the simulation is built of.
    pub fn open() -> Result<Self, PlantError> {
        let base = top().join("target/mutants");
        // A target folder of its own: cargo does not tell the copies of a package apart by their place.
        let nursery = Self { sources: base.join("sources"), target: base.join("target") };
        let listed = run(Command::new("git").arg("ls-files").current_dir(top()))?;
        for file in String::from_utf8_lossy(&listed.stdout).lines() {
            let (from, to) = (top().join(file), nursery.sources.join(file));
            let text = fs::read(&from).map_err(failed(&format!("read {}", from.display())))?;
            if fs::read(&to).is_ok_and(|there| there == text) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder).map_err(failed(&format!("make {}", folder.display())))?;
            }
            fs::write(&to, text).map_err(failed(&format!("write {}", to.display())))?;
        }
        Ok(nursery)
    }

    /// Runs seeds with a bug, or without one. What the simulation said, if it found something.
    pub fn simulate(&self, mutant: Option<&Mutant>, seeds: u64) -> Result<Option<String>, PlantError> {
        let Some(mutant) = mutant else { return self.seeds(seeds) };
        self.with(&mutant.file, &mutant.planted()?, || self.seeds(seeds))
    }

    /// Whether the test that has to see a twin passes without it, and fails with it.
    pub fn sees(&self, twin: &Twin) -> Result<bool, PlantError> {
        if !self.passes(&twin.test)? {
            return Err(PlantError::Simulation(format!("`{}` fails without a bug", twin.test)));
        }
        Ok(!self.with(&twin.file, &twin.planted()?, || self.passes(&twin.test))?)
    }

    /// What comes of something while a file has another text.
    fn with<T>(&self, file: &str, text: &str, run: impl FnOnce() -> Result<T, PlantError>) -> Result<T, PlantError> {
        let path = self.sources.join(file);
        let healthy = fs::read(&path).map_err(failed(&format!("read {}", path.display())))?;
        fs::write(&path, text).map_err(failed(&format!("write {}", path.display())))?;
        let found = run();
        fs::write(&path, healthy).map_err(failed(&format!("write {}", path.display())))?;
        found
    }

    /// Whether a test of the connector passes.
    fn passes(&self, test: &str) -> Result<bool, PlantError> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--quiet", "--package", "postern-agent", "--test", "salesforce", test]);
        let output = run(cargo.current_dir(&self.sources).env("CARGO_TARGET_DIR", &self.target))?;
        let said = String::from_utf8_lossy(&output.stdout);
        match said.lines().find_map(|line| line.strip_prefix("test result: ")) {
            Some(result) if result.starts_with("FAILED") => Ok(false),
            Some(result) if result.starts_with("ok. 1 passed") => Ok(true),
            Some(_) | None => {
                let why = String::from_utf8_lossy(&output.stderr);
                Err(PlantError::Simulation(format!("`{test}` is not one test, or cannot be built: {why}")))
            }
        }
    }

    fn seeds(&self, seeds: u64) -> Result<Option<String>, PlantError> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--package", "postern-sim", "--bin", "sim", "--"]);
        cargo.args(["--seeds", &seeds.to_string()]).current_dir(&self.sources).env("CARGO_TARGET_DIR", &self.target);
        let output = run(&mut cargo)?;
        let said = String::from_utf8_lossy(&output.stdout);
        let line = |word: &str| said.lines().find(|line| line.starts_with(word)).map(str::to_owned);
        match line("invariant").or_else(|| line("liveness")) {
            Some(found) => Ok(Some(found)),
            None if output.status.success() => Ok(None),
            None => Err(PlantError::Simulation(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }
}

fn run(command: &mut Command) -> Result<Output, PlantError> {
    let what = format!("run {command:?}");
    command.output().map_err(failed(&what))
}

fn failed(what: &str) -> impl FnOnce(io::Error) -> PlantError + use<> {
    let what = format!("cannot {what}");
    |source| PlantError::Io { what, source }
}
