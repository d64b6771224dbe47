//! Where a password that is made up goes. Only this process can open it, so its place is made before the task is submitted.

use std::io::Write as _;

use postern_protocol::Outcome;
use postern_protocol::seal::{SealingKey, SealingPublicKey};
use postern_protocol::task::reset_password;
use postern_store::private::NewFile;

use crate::cli::Submit;
use crate::client::sealing::Binding;
use crate::command::{new_file, output};
use crate::exit::{Exit, Failure};
use crate::random;
use crate::state::tasks::{OpaqueView, TaskView};

/// What a generated password is sealed to, and where it goes.
pub(super) struct Delivery {
    key: SealingKey,
    file: Option<NewFile>,
    show: bool,
}

impl Delivery {
    /// Makes the place for the password of this task, if whoever submits it wants one that is made up.
    pub(super) fn prepare(options: &Submit) -> Result<Option<Self>, Failure> {
        if !options.wants_password() {
            return Ok(None);
        }
        // A password that cannot be kept must not be set.
        let file = options.output_password.as_deref().map(|path| new_file::create(path, "password")).transpose()?;
        let key = SealingKey::from_random(&random::secret());
        Ok(Some(Self { key, file, show: options.show_password }))
    }

    /// The key the password is to be sealed to.
    pub(super) const fn requester(&self) -> &SealingPublicKey {
        self.key.public()
    }

    /// Hands the password to whoever asked for it.
    pub(super) fn deliver(mut self, binding: &Binding, view: &TaskView) -> Result<(), Failure> {
        let Some(sealed) = view.sealed.iter().find(|it| is_password(it)).or_else(|| late(view)) else {
            return match view.outcome {
                Some(Outcome::Succeeded) => Err(Failure::new(
                    Exit::Failed,
                    "the password was changed, but the new one did not come with the outcome: reset it again",
                )),
                Some(_) | None => Ok(()),
            };
        };
        let password = binding
            .open(sealed, &self.key)
            .map_err(|error| Failure::new(Exit::Failed, format!("the new password cannot be opened: {error}")))?;
        if self.show {
            output::remark(format!("password: {}", String::from_utf8_lossy(&password)));
        }
        self.file.take().map_or(Ok(()), |file| write(file, &password))
    }
}

fn is_password(sealed: &OpaqueView) -> bool {
    sealed.name == reset_password::PASSWORD
}

/// What an earlier holder set and reported too late. It is in force unless whoever ended the task set another.
fn late(view: &TaskView) -> Option<&OpaqueView> {
    let observations = view.observations.iter().filter(|_| view.outcome != Some(Outcome::Succeeded));
    observations.rev().flat_map(|it| &it.sealed).find(|it| is_password(it))
}

fn write(mut file: NewFile, password: &[u8]) -> Result<(), Failure> {
    file.fill(|it| it.write_all(password).and_then(|()| it.write_all(b"\n"))).map_err(|error| {
        let path = file.path().display();
        Failure::new(Exit::Failed, format!("the new password cannot be written to `{path}`: {error}: reset it again"))
    })
}
