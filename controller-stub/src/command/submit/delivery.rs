//! Where a password that is made up goes. Only this process can open it, so its place is made before the task is submitted.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use postern_protocol::Outcome;
use postern_protocol::seal::{SealingKey, SealingPublicKey};
use postern_protocol::task::reset_password;

use crate::cli::Submit;
use crate::client::sealing::Binding;
use crate::command::output;
use crate::exit::{Exit, Failure};
use crate::random;
use crate::state::tasks::TaskView;

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
        let file = options.output_password.as_deref().map(NewFile::create).transpose()?;
        let key = SealingKey::from_random(&random::secret());
        Ok(Some(Self { key, file, show: options.show_password }))
    }

    /// The key the password is to be sealed to.
    pub(super) const fn requester(&self) -> &SealingPublicKey {
        self.key.public()
    }

    /// Hands the password to whoever asked for it.
    pub(super) fn deliver(mut self, binding: &Binding, view: &TaskView) -> Result<(), Failure> {
        let Some(sealed) = view.sealed.iter().find(|it| it.name == reset_password::PASSWORD) else {
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
            output::say(format!("password: {}", String::from_utf8_lossy(&password)));
        }
        self.file.take().map_or(Ok(()), |file| file.write(&password))
    }
}

/// A file that was made here and is taken away again unless something was written to it, so that it is not in the way
/// of the next try.
struct NewFile {
    path: PathBuf,
    file: File,
    is_used: bool,
}

impl NewFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
            let path = path.display();
            Failure::new(
                Exit::Failed,
                format!("the new password cannot be written to `{path}`, so nothing was submitted: {error}"),
            )
        })?;
        Ok(Self { path: path.to_owned(), file, is_used: false })
    }

    fn write(mut self, password: &[u8]) -> Result<(), Failure> {
        self.is_used = true;
        let written = self.file.write_all(password).and_then(|()| self.file.write_all(b"\n"));
        written.and_then(|()| self.file.sync_all()).map_err(|error| {
            let path = self.path.display();
            Failure::new(
                Exit::Failed,
                format!("the new password cannot be written to `{path}`: {error}: reset it again"),
            )
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_used {
            let _ = fs::remove_file(&self.path);
        }
    }
}
