//! Everything that has to be one user's alone, looked at before it is used.

use std::fmt::{self, Display, Write as _};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{PrivateError, parent};

/// What is shown; whoever has more mends them with one command for all.
const SHOWN: usize = 20;
/// No directory of ours is half as deep.
const DEEPEST: usize = 8;
/// Ten times as many as a controller keeps of everything. To look at so many takes a few seconds.
const MOST: usize = 1_000_000;

/// Looks at files and directories, and gathers what is wrong with them.
#[derive(Debug)]
pub struct Inspection {
    user: u32,
    seen: usize,
    most: usize,
    found: Vec<String>,
    more: usize,
}

/// Files and directories that are not one user's alone.
#[derive(Debug, thiserror::Error)]
pub struct NotPrivate {
    found: Vec<String>,
    more: usize,
}

impl Default for Inspection {
    fn default() -> Self {
        let user = rustix::process::geteuid().as_raw();
        Self { user, seen: 0, most: MOST, found: Vec::new(), more: 0 }
    }
}

impl Inspection {
    /// Looks at a file. One that is not there, or no file, is for whoever reads it.
    ///
    /// # Errors
    ///
    /// [`PrivateError::Io`].
    pub fn file(&mut self, path: &Path) -> Result<(), PrivateError> {
        match look(path, fs::metadata(path))? {
            Some(found) if found.is_file() => self.judge(path, &found, 0o600),
            Some(_) | None => (),
        }
        Ok(())
    }

    /// Looks at a file that others may read and none may write, if it is there: this user's, or root's.
    ///
    /// # Errors
    ///
    /// [`PrivateError::Io`].
    pub fn unwritable(&mut self, path: &Path) -> Result<(), PrivateError> {
        if let Some(found) = look(path, fs::metadata(path))?.filter(Metadata::is_file) {
            self.judge_unwritable(path, &found);
        }
        Ok(())
    }

    /// Looks at the directory that a file is in: whoever may write there puts another file in its place. Not if only the owner
    /// of a file may move it there, as in `/tmp`.
    ///
    /// # Errors
    ///
    /// [`PrivateError::Io`].
    pub fn unwritable_directory_of(&mut self, file: &Path) -> Result<(), PrivateError> {
        let directory = parent(file);
        match look(directory, fs::metadata(directory))? {
            Some(found) if found.mode() & 0o1000 == 0 => self.judge_unwritable(directory, &found),
            Some(_) | None => (),
        }
        Ok(())
    }

    /// Looks whether a file that this user is to write would be read by whoever uses the directory that it is in: what root writes
    /// among another's files, that one cannot open.
    ///
    /// # Errors
    ///
    /// [`PrivateError::Io`].
    pub fn writable_for_its_reader(&mut self, file: &Path) -> Result<(), PrivateError> {
        for path in [parent(file), file] {
            let found = look(path, fs::metadata(path))?;
            if let Some(line) = found.and_then(|found| as_owner(self.user, path, &found)) {
                self.add(line);
            }
        }
        Ok(())
    }

    /// Looks at everything below a directory, and at the directory, which may be a link.
    ///
    /// # Errors
    ///
    /// [`PrivateError::Io`].
    pub fn tree(&mut self, top: &Path) -> Result<(), PrivateError> {
        let Some(found) = look(top, fs::metadata(top))? else { return Ok(()) };
        if found.uid() != self.user {
            // So is everything below, and to name the one who starts the program is more likely to help.
            let (owner, user, shown) = (found.uid(), self.user, quoted(top));
            self.add(as_owner(user, top, &found).unwrap_or_else(|| {
                format!(
                    "chown -R {user} {shown}   # it belongs to user {owner}, and this program runs as {user}: better run \
                     it as {owner}"
                )
            }));
            return Ok(());
        }
        self.judge(top, &found, 0o700);
        let mut waiting: Vec<(PathBuf, usize)> = vec![(top.to_owned(), 1)];
        while let Some((directory, depth)) = waiting.pop() {
            for entry in look(&directory, fs::read_dir(&directory))?.into_iter().flatten() {
                let path = entry.map_err(PrivateError::io("read", &directory))?.path();
                self.seen += 1;
                if self.seen > self.most {
                    self.add(format!(
                        "ls -R {}   # more than {} files: take away what is not Postern's",
                        quoted(top),
                        self.most
                    ));
                    return Ok(());
                }
                let Some(found) = look(&path, fs::symlink_metadata(&path))? else { continue };
                if depth == 1 && is_of_the_file_system(&path, &found) {
                    continue;
                }
                if found.is_symlink() {
                    self.judge_link(&path);
                } else if found.is_dir() {
                    self.judge(&path, &found, 0o700);
                    if depth < DEEPEST {
                        waiting.push((path, depth + 1));
                    } else {
                        self.add(format!(
                            "ls -R {}   # deeper than anything of Postern's: take it away",
                            quoted(&path)
                        ));
                    }
                } else if found.is_file() {
                    self.judge(&path, &found, 0o600);
                } else if !found.file_type().is_socket() {
                    let first = as_user(self.user);
                    self.add(format!("{first}rm {}   # neither file nor directory", quoted(&path)));
                }
            }
        }
        Ok(())
    }

    /// What came of it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, with the command that mends it.
    pub fn done(mut self) -> Result<(), NotPrivate> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_unstable();
        // Two files of one directory.
        self.found.dedup();
        Err(NotPrivate { found: self.found, more: self.more })
    }

    fn judge(&mut self, path: &Path, found: &Metadata, most: u32) {
        let mode = found.mode() & 0o7777;
        if let Some(line) = as_owner(self.user, path, found) {
            // The mode is for whoever looks as its owner.
            return self.add(line);
        }
        if found.uid() != self.user {
            // Not what a link leads to that was put there meanwhile.
            self.add(format!("chown -h {} {}   # belongs to user {}", self.user, quoted(path), found.uid()));
        }
        // A directory below one that hands its group on has that bit from when it was made. Without bits for the group it gives
        // nobody anything.
        let harmless = if found.is_dir() { 0o2000 } else { 0 };
        if mode & !(most | harmless) != 0 {
            // Of a directory `chmod` takes these bits away only where they are written out.
            let written_out = if mode & 0o7000 == 0 { "" } else { "00" };
            let first = as_user(self.user);
            self.add(format!("{first}chmod {written_out}{most:o} {}   # mode {mode:04o}", quoted(path)));
        }
    }

    fn judge_unwritable(&mut self, path: &Path, found: &Metadata) {
        if ![0, self.user].contains(&found.uid()) {
            // Not with `chown`: its owner may put there what he wants to be given away.
            self.add(format!(
                "ls -ld {}   # belongs to user {}: look who put it there, it is to be root's or user {}'s",
                quoted(path),
                found.uid(),
                self.user
            ));
        }
        let mode = found.mode() & 0o7777;
        if mode & 0o022 != 0 {
            self.add(format!("{}chmod go-w {}   # mode {mode:04o}", as_user(found.uid()), quoted(path)));
        }
    }

    fn judge_link(&mut self, path: &Path) {
        // Not with a command that fetches what it leads to: whoever put the link there would have root hand any file over.
        let target = fs::read_link(path).unwrap_or_default();
        self.add(format!(
            "{}unlink {}   # a link to {}: if that belongs here, put it in its place",
            as_user(self.user),
            quoted(path),
            quoted(&target)
        ));
    }

    fn add(&mut self, line: String) {
        if self.found.len() < SHOWN {
            self.found.push(line);
        } else {
            self.more += 1;
        }
    }
}

impl NotPrivate {
    /// The commands that mend what is shown, each with what is wrong.
    pub fn commands(&self) -> &[String] {
        &self.found
    }
}

impl Display for NotPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("files and directories are not this user's alone; mend them, then start again:")?;
        for line in &self.found {
            write!(f, "\n  {line}")?;
        }
        if self.more > 0 {
            write!(f, "\n  and {} more", self.more)?;
        }
        Ok(())
    }
}

/// Whether it is what `mkfs` makes at the top of a file system, where a repair puts what it finds: the directory may be the top
/// of one.
fn is_of_the_file_system(path: &Path, found: &Metadata) -> bool {
    found.is_dir() && found.uid() == 0 && path.ends_with("lost+found")
}

/// What was looked at, if it is there: while another process is at work, files come and go.
fn look<T>(path: &Path, looked: io::Result<T>) -> Result<Option<T>, PrivateError> {
    match looked {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        looked => looked.map(Some).map_err(PrivateError::io("read", path)),
    }
}

/// What has root do something as that user, who can do it to nothing but his own: root would follow a link that he put there
/// meanwhile. The user himself may do it so, too.
fn as_user(user: u32) -> String {
    if user == 0 { String::new() } else { format!("setpriv --reuid={user} ") }
}

/// What root does about something that is somebody else's: it runs the program as that user. If root took it, whoever it belongs
/// to could not use it any more.
fn as_owner(user: u32, path: &Path, found: &Metadata) -> Option<String> {
    let (owner, shown) = (found.uid(), quoted(path));
    (user == 0 && owner != 0).then(|| {
        format!(
            "runuser -u \"$(id -nu {owner})\" -- …   # {shown} belongs to user {owner}, and this program runs as root: run it \
             as that user, or look who put it there"
        )
    })
}

/// As a shell takes it for one word.
pub fn quoted(path: &Path) -> String {
    let mut quoted = String::from("'");
    for letter in path.to_string_lossy().chars() {
        if letter == '\'' {
            quoted.push_str("'\\''");
        } else if letter.is_control() {
            let _ = write!(quoted, "{}", letter.escape_default());
        } else {
            quoted.push(letter);
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::private::{directory, replace};

    fn state() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        directory(&state.join("store").join("spool")).unwrap();
        replace(&state.join("store.key"), b"key").unwrap();
        replace(&state.join("store").join("spool").join("it's one"), b"payload").unwrap();
        (folder, state)
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// Has it belong to somebody else than root.
    fn give_away(path: &Path) {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(path, Some(4711), None).unwrap();
        }
    }

    fn told(top: &Path) -> String {
        let mut inspection = Inspection::default();
        inspection.tree(top).unwrap();
        inspection.done().map_or_else(|found| found.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_one_users_alone_passes() {
        let (folder, state) = state();
        assert_eq!(told(&state), "");
        set(&state.join("store.key"), 0o400);
        let _socket = std::os::unix::net::UnixListener::bind(state.join("agent.sock")).unwrap();
        assert_eq!(told(&state), "", "stricter is as good, and nobody gets to a socket in there");
        let link = folder.path().join("link");
        symlink(&state, &link).unwrap();
        assert_eq!(told(&link), "", "the directory itself may be elsewhere");
        assert_eq!(told(&folder.path().join("absent")), "");
    }

    #[test]
    fn every_wrong_mode_is_named_with_the_command_that_mends_it() {
        let (_folder, state) = state();
        let payload = state.join("store/spool/it's one");
        for (path, mode) in [(&state, 0o750), (&state.join("store.key"), 0o644), (&payload, 0o700)] {
            set(path, mode);
        }
        let (shown, first) = (state.display(), as_user(Inspection::default().user));
        let lines = [
            format!("  {first}chmod 600 '{shown}/store.key'   # mode 0644"),
            format!("  {first}chmod 600 '{shown}/store/spool/it'\\''s one'   # mode 0700"),
            format!("  {first}chmod 700 '{shown}'   # mode 0750"),
        ];
        let told = told(&state);
        assert_eq!(told.lines().skip(1).collect::<Vec<_>>(), lines);
        for line in lines {
            let mended = std::process::Command::new("sh").args(["-c", &line]).status().unwrap();
            assert!(mended.success(), "{line}");
        }
        assert_eq!(self::told(&state), "");
    }

    /// Print `chmod 700`, and whoever runs it is told the same again: GNU's leaves these bits of a directory as they are.
    #[test]
    fn the_command_for_a_directory_mends_bits_beyond_the_permissions_as_well() {
        let (_folder, state) = state();
        for (path, mode) in [(&state, 0o4700), (&state.join("store"), 0o2770), (&state.join("store.key"), 0o2600)] {
            set(path, mode);
        }
        let (shown, first) = (state.display(), as_user(Inspection::default().user));
        let lines = [
            format!("  {first}chmod 00600 '{shown}/store.key'   # mode 2600"),
            format!("  {first}chmod 00700 '{shown}'   # mode 4700"),
            format!("  {first}chmod 00700 '{shown}/store'   # mode 2770"),
        ];
        let told = told(&state);
        assert_eq!(told.lines().skip(1).collect::<Vec<_>>(), lines);
        for line in lines {
            assert!(std::process::Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
        }
        assert_eq!(self::told(&state), "");
    }

    /// Refuse it, and a state directory below a shared one is made, enrolled in, and refused ever after.
    #[test]
    fn what_is_made_below_a_directory_that_hands_its_group_on_passes() {
        let folder = tempfile::tempdir().unwrap();
        set(folder.path(), 0o2775);
        let state = folder.path().join("state");
        directory(&state.join("store")).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().mode() & 0o7777, 0o2700, "the bit is handed on");
        assert_eq!(told(&state), "");
    }

    #[test]
    fn a_file_that_others_may_write_is_named_and_one_that_they_may_read_is_not() {
        let (_folder, state) = state();
        let file = state.join("store.key");
        let told = |mode| {
            set(&file, mode);
            let mut inspection = Inspection::default();
            inspection.unwritable(&file).unwrap();
            inspection.done().err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!((told(0o644), told(0o600)), (String::new(), String::new()));
        for mode in [0o666, 0o620, 0o602] {
            let told = told(mode);
            assert!(told.contains(&format!("chmod go-w '{}'   # mode {mode:04o}", file.display())), "{told}");
        }
    }

    #[test]
    fn a_directory_where_others_may_put_another_file_is_named() {
        let (_folder, state) = state();
        let told = |mode| {
            set(&state, mode);
            let mut inspection = Inspection::default();
            inspection.unwritable_directory_of(&state.join("agent.toml")).unwrap();
            inspection.done().err().map(|error| error.commands().concat()).unwrap_or_default()
        };
        for mode in [0o755, 0o700, 0o1777] {
            assert_eq!(told(mode), "", "{mode:o}");
        }
        for mode in [0o775, 0o757] {
            let first = as_user(Inspection::default().user);
            assert_eq!(told(mode), format!("{first}chmod go-w '{}'   # mode {mode:04o}", state.display()));
        }
    }

    /// Print a command that fetches what a link leads to, and whoever may write in there has root bring him any file.
    #[test]
    fn what_leads_elsewhere_or_is_no_file_is_refused() {
        let (folder, state) = state();
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "key").unwrap();
        symlink(&elsewhere, state.join("link")).unwrap();
        symlink(folder.path(), state.join("out")).unwrap();
        let pipe = state.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let told = told(&state);
        let link = format!("/link'   # a link to '{}': if that", elsewhere.display());
        for line in [link.as_str(), "/out'   # a link to ", "/pipe'   # neither file nor directory"] {
            assert!(told.contains(line), "{told}");
        }
        for line in told.lines().skip(1) {
            assert!(std::process::Command::new("sh").args(["-c", line]).status().unwrap().success(), "{line}");
        }
        assert_eq!(self::told(&state), "");
        assert!(fs::symlink_metadata(state.join("link")).is_err());
        assert_eq!(fs::read(elsewhere).unwrap(), b"key");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let (_folder, state) = state();
        let told = |inspection: Inspection| inspection.done().unwrap_err().to_string();
        let stranger = || Inspection { user: u32::MAX - 1, ..Inspection::default() };
        let mut inspection = stranger();
        inspection.tree(&state).unwrap();
        let all = told(inspection);
        assert!(all.contains("chown -R ") && all.contains("better run it as"), "{all}");
        assert_eq!(all.lines().count(), 2, "{all}");
        let mut inspection = stranger();
        inspection.file(&state.join("store.key")).unwrap();
        assert!(told(inspection).contains("chown "), "a file alone");
    }

    /// Print these commands without the user, or `chown` for a file that others may replace, and root does it to what a link
    /// leads to.
    #[test]
    fn what_root_is_told_to_do_is_done_as_whose_it_is() {
        let (_folder, state) = state();
        symlink("elsewhere", state.join("link")).unwrap();
        set(&state, 0o777);
        let found = fs::metadata(&state).unwrap();
        let mut inspection = Inspection { user: 4711, ..Inspection::default() };
        inspection.judge(&state, &found, 0o700);
        inspection.judge_link(&state.join("link"));
        for command in inspection.done().unwrap_err().commands() {
            assert!(command.starts_with("chown -h 4711 ") || command.starts_with("setpriv --reuid=4711 "), "{command}");
        }
        let mut inspection = Inspection { user: 4711, ..Inspection::default() };
        let owner = found.uid();
        inspection.judge_unwritable(&state, &found);
        let told = inspection.done().unwrap_err().to_string();
        assert!(!told.contains("chown") && told.contains(&format!("{}chmod go-w ", as_user(owner))), "{told}");
        assert_eq!(told.contains("look who put it there"), owner != 0, "{told}");
    }

    /// Tell root to take what is the service's, and the service does not start again.
    #[test]
    fn root_is_told_to_run_as_whose_it_is_and_to_take_nothing() {
        let (_folder, state) = state();
        let key = state.join("store.key");
        set(&key, 0o644);
        for path in [&state, &key] {
            give_away(path);
        }
        let owner = fs::metadata(&key).unwrap().uid();
        let told = |look: fn(&mut Inspection, &Path) -> Result<(), PrivateError>, path: &Path| {
            let mut inspection = Inspection { user: 0, ..Inspection::default() };
            look(&mut inspection, path).unwrap();
            inspection.done().unwrap_err().to_string()
        };
        for told in [told(Inspection::tree, &state), told(Inspection::file, &key)] {
            assert!(!told.contains("chown") && !told.contains("chmod"), "{told}");
            assert!(told.contains(&format!("runuser -u \"$(id -nu {owner})\" -- ")), "{told}");
        }
    }

    #[test]
    fn where_a_file_system_keeps_what_it_finds_is_roots() {
        let (_folder, state) = state();
        let of_root = fs::metadata("/proc/1").unwrap();
        assert!(is_of_the_file_system(&state.join("lost+found"), &of_root));
        assert!(!is_of_the_file_system(&state.join("found"), &of_root));
        let file = fs::metadata("/proc/version").unwrap();
        assert!(!is_of_the_file_system(&state.join("lost+found"), &file), "no directory");
        // Further down it is nobody's but whoever put it there.
        directory(&state.join("store").join("lost+found")).unwrap();
        set(&state.join("store").join("lost+found"), 0o755);
        assert!(told(&state).contains("store/lost+found"));
    }

    #[test]
    fn of_many_the_first_are_shown_and_the_rest_counted() {
        let (_folder, state) = state();
        for number in 0..25 {
            let path = state.join(number.to_string());
            fs::write(&path, "").unwrap();
            set(&path, 0o644);
        }
        let told = told(&state);
        assert_eq!(told.lines().count(), 22, "{told}");
        assert!(told.ends_with("\n  and 5 more"), "{told}");
    }

    #[test]
    fn it_ends_whatever_somebody_put_there() {
        let (_folder, state) = state();
        let mut deep = state.clone();
        for _ in 0..12 {
            deep.push("d");
        }
        directory(&deep).unwrap();
        let told = told(&state);
        assert!(told.contains("deeper than anything of Postern's"), "{told}");
        fs::remove_dir_all(state.join("d")).unwrap();
        let mut inspection = Inspection { most: 3, ..Inspection::default() };
        inspection.tree(&state).unwrap();
        let told = inspection.done().unwrap_err().to_string();
        assert!(told.contains("more than 3 files"), "{told}");
    }

    #[test]
    fn a_file_alone_is_looked_at_too() {
        let (_folder, state) = state();
        let path = state.join("store.key");
        set(&path, 0o604);
        let mut inspection = Inspection::default();
        inspection.file(&path).unwrap();
        inspection.file(&state.join("absent")).unwrap();
        let told = inspection.done().unwrap_err().to_string();
        assert!(told.contains("chmod 600 ") && told.contains("mode 0604"), "{told}");
    }
}
