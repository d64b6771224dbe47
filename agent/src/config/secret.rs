//! Where secrets come from: never from the configuration itself.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use postern_protocol::Secret;
use postern_store::{KeyError, KeySource};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// A private key of 8,192 bits in PEM takes less than half of it.
const MAX_BYTES: usize = 16 * 1024;

/// A reference to a secret. The secret is read when it is needed, not when the configuration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `{ file = "/…" }`: a file that nobody else may read.
    File(PathBuf),
    /// `{ env = "NAME" }`: a variable of the process's environment.
    Env(String),
    /// `{ credential = "name" }`: a credential that systemd hands over (`LoadCredential=`).
    Credential(String),
}

/// A secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be opened or read.
    #[error("{from} cannot be read; correct its name, or let the agent's user read it")]
    Unreadable {
        /// Where it was looked for.
        from: SecretSource,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("`{0}` is not a file; name the file that holds the secret")]
    NotAFile(PathBuf),
    /// Other users of the host could read it.
    #[error("`{path}` can be read by other users (mode {mode:o}); run: chmod 600 '{path}'")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is no such variable.
    #[error("the environment has no variable `{0}`; set it for the agent's process, or point to a file instead")]
    NoVariable(String),
    /// Not started by systemd with credentials.
    #[error("there is no credential `{0}`; add `LoadCredential={0}:/path/to/file` to the systemd unit")]
    NoCredential(String),
    /// A name of a credential is not a path.
    #[error("`{0}` is not the name of a credential; write its name alone, without a path")]
    BadName(String),
    /// Not a password, token or key.
    #[error("{from} {problem}")]
    Unusable {
        /// Where it was found.
        from: SecretSource,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
}

impl SecretSource {
    /// Reads the secret. One newline at its end is cut.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => self.read_file(path, Access::Private),
            Self::Env(name) => {
                let value = std::env::var_os(name).ok_or_else(|| SecretError::NoVariable(name.clone()))?;
                self.checked(&Zeroizing::new(value.into_encoded_bytes()))
            }
            Self::Credential(name) => {
                let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
                if !plain {
                    return Err(SecretError::BadName(name.clone()));
                }
                let path = credentials().map(|folder| folder.join(name));
                let path = path.filter(|path| path.exists()).ok_or_else(|| SecretError::NoCredential(name.clone()))?;
                // systemd grants access with an ACL, whose mask shows up as group permissions.
                self.read_file(&path, Access::Granted)
            }
        }
    }

    /// Where this is, as the key of the store, which is bytes and no text; or why it cannot be.
    pub fn of_store(self) -> Result<KeySource, String> {
        match self {
            Self::File(path) => Ok(KeySource::File(path)),
            Self::Env(_) => Err(format!("a key of bytes is in no variable; write {STORE_FORMS}")),
            Self::Credential(name) => Self::store_credential(&name).map_err(|error| error.to_string()),
        }
    }

    /// The key of a store in a credential of that name.
    pub fn store_credential(name: &str) -> Result<KeySource, KeyError> {
        KeySource::credential(name, credentials().as_deref())
    }

    fn read_file(&self, path: &Path, access: Access) -> Result<Secret, SecretError> {
        let unreadable = |source| SecretError::Unreadable { from: self.clone(), source };
        // Looked at first, because to open a pipe is to wait for whoever writes to it.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(SecretError::NotAFile(path.to_owned()));
        }
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if access == Access::Private && mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path: path.to_owned(), mode });
        }
        // Room for all of it and more, because a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES));
        let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        self.checked(&bytes)
    }

    fn checked(&self, bytes: &[u8]) -> Result<Secret, SecretError> {
        let unusable = |problem| SecretError::Unusable { from: self.clone(), problem };
        if bytes.len() > MAX_BYTES {
            return Err(unusable("holds more than 16 KiB, which no secret does; name the right one"));
        }
        let text = std::str::from_utf8(bytes);
        let mut text = text.map_err(|_| unusable("is not UTF-8 text; write the secret as text, a key as PEM"))?;
        if let Some(line) = text.strip_suffix('\n') {
            text = line.strip_suffix('\r').unwrap_or(line);
        }
        if text.is_empty() {
            return Err(unusable("is empty; write the secret into it"));
        }
        Ok(Secret::new(text.to_owned()))
    }
}

/// Where systemd puts the credentials of this process.
fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// The files that the table points to as secrets, however deep: what a connector's settings mean is its own.
pub(super) fn files_in(table: &DeTable<'_>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting: Vec<&DeValue<'_>> = table.values().map(Spanned::get_ref).collect();
    while let Some(value) = waiting.pop() {
        if let Some(array) = value.as_array() {
            waiting.extend(array.iter().map(Spanned::get_ref));
        } else if let Some(table) = value.as_table() {
            match table.get("file").and_then(|file| file.get_ref().as_str()) {
                Some(file) if table.len() == 1 => found.push(PathBuf::from(file)),
                Some(_) | None => waiting.extend(table.values().map(Spanned::get_ref)),
            }
        }
    }
    found
}

/// The files that say who is trusted, however deep: roots that vouch for a connected system or for the collector of traces.
pub(super) fn roots_in(table: &DeTable<'_>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![table];
    while let Some(table) = waiting.pop() {
        for (key, value) in table {
            let value = value.get_ref();
            let items = value.as_array().map(|array| array.iter().map(Spanned::get_ref));
            let items: Vec<&DeValue<'_>> = items.map_or_else(|| vec![value], Iterator::collect);
            if matches!(key.get_ref().as_ref(), "root_certificates" | "ca_file") {
                found.extend(items.iter().filter_map(|item| item.as_str()).map(PathBuf::from));
            }
            waiting.extend(items.iter().filter_map(|item| item.as_table()));
        }
    }
    found
}

/// Where the secret is that a value points to, if it does.
pub(super) fn reference(value: &DeValue<'_>) -> Option<SecretSource> {
    let table = value.as_table().filter(|table| table.len() == 1)?;
    let text = |key: &str| table.get(key)?.get_ref().as_str().map(str::to_owned);
    let file = text("file").map(|path| SecretSource::File(PathBuf::from(path)));
    file.or_else(|| text("env").map(SecretSource::Env)).or_else(|| text("credential").map(SecretSource::Credential))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// The mode must keep others out.
    Private,
    /// Whoever made the file has seen to it.
    Granted,
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::Credential(name) => write!(f, "the credential `{name}`"),
        }
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

const STORE_FORMS: &str = "`{ credential = \"name\" }` or `{ file = \"/path\" }`";
const FORMS: &str = "`{ file = \"/path\" }`, `{ env = \"NAME\" }` or `{ credential = \"name\" }`";

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMS)
    }

    /// The message must not repeat what was written: it may be the secret.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretSource, E> {
        Err(E::custom(format!("a secret does not belong in this file; point to it with {FORMS}")))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretSource, E> {
        self.visit_str("")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretSource, E> {
        self.visit_str("")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let wrong = || de::Error::custom(format!("a secret is given as exactly one of {FORMS}"));
        let (key, value): (String, String) = map.next_entry()?.ok_or_else(wrong)?;
        let source = match key.as_str() {
            "file" if value.contains('\0') => return Err(de::Error::custom("no path has a zero byte in it")),
            "file" if Path::new(&value).is_absolute() => SecretSource::File(PathBuf::from(value)),
            "file" => return Err(de::Error::custom("the `file` of a secret needs an absolute path")),
            "env" => SecretSource::Env(value),
            "credential" => SecretSource::Credential(value),
            _ => return Err(wrong()),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(wrong());
        }
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Holder {
        password: SecretSource,
    }

    fn parse(text: &str) -> Result<SecretSource, String> {
        toml::from_str::<Holder>(text).map(|it| it.password).map_err(|error| error.message().to_owned())
    }

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn a_secret_comes_from_a_file_a_variable_or_a_credential() {
        assert_eq!(parse("password = { file = \"/x\" }").unwrap(), SecretSource::File(PathBuf::from("/x")));
        assert_eq!(parse("password = { env = \"X\" }").unwrap(), SecretSource::Env("X".to_owned()));
        assert_eq!(parse("password = { credential = \"x\" }").unwrap(), SecretSource::Credential("x".to_owned()));
    }

    #[test]
    fn a_secret_in_the_file_is_refused_without_repeating_it() {
        let error = parse("password = \"hunter2\"").unwrap_err();
        assert!(error.contains("does not belong in this file") && !error.contains("hunter2"), "{error}");
        for number in ["password = 12345678", "password = 1234.5678"] {
            let error = parse(number).unwrap_err();
            assert!(error.contains("does not belong in this file") && !error.contains("5678"), "{error}");
        }
        for bad in ["password = {}", "password = { file = \"/x\", env = \"X\" }", "password = { value = \"x\" }"] {
            assert!(parse(bad).unwrap_err().contains("exactly one of"), "{bad}");
        }
        assert!(parse("password = { file = \"x\" }").unwrap_err().contains("absolute path"));
    }

    #[test]
    fn every_file_with_a_secret_is_found_wherever_it_is_named() {
        let text = "[agent]\nstore_key = { file = \"/a\" }\n[[connected_system]]\n[connected_system.any]\nkey = { file = \
                    \"/b\" }\nname = \"file\"\nproxy = { url = \"file\", password = { file = \"/c\" } }\ntoken = { \
                    credential = \"d\" }\n";
        let mut found = files_in(DeTable::parse(text).unwrap().get_ref());
        found.sort();
        assert_eq!(found, ["/a", "/b", "/c"].map(PathBuf::from));
    }

    #[test]
    fn the_key_of_a_store_is_in_a_file_or_a_credential() {
        let file = SecretSource::File(PathBuf::from("/x")).of_store();
        assert_eq!(file, Ok(KeySource::File(PathBuf::from("/x"))));
        assert!(matches!(SecretSource::Credential("x".into()).of_store(), Ok(KeySource::Credential { .. })));
        assert!(SecretSource::Env("X".into()).of_store().unwrap_err().contains("credential"));
        assert!(SecretSource::Credential("../x".into()).of_store().unwrap_err().contains("without a path"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let (_folder, source) = file(b"hunter2", 0o640);
        let error = source.read().unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains("mode 640"), "{error}");
    }

    #[test]
    fn one_newline_at_the_end_is_cut() {
        for (content, secret) in [(&b"a b\n"[..], "a b"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"a", "a")] {
            let (_folder, source) = file(content, 0o600);
            assert_eq!(source.read().unwrap().expose(), secret);
        }
    }

    /// A pipe that nobody writes to would keep the agent waiting.
    #[test]
    fn what_is_not_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for path in [folder.path(), &pipe] {
            assert!(matches!(SecretSource::File(path.to_owned()).read(), Err(SecretError::NotAFile(_))));
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused() {
        for content in [vec![], b"\n".to_vec(), vec![b'a'; 16 * 1024 + 1], vec![0xff]] {
            let (_folder, source) = file(&content, 0o600);
            assert!(matches!(source.read(), Err(SecretError::Unusable { .. })));
        }
        assert!(matches!(SecretSource::File("/nowhere".into()).read(), Err(SecretError::Unreadable { .. })));
        assert!(matches!(SecretSource::Env("POSTERN_NO_SUCH".into()).read(), Err(SecretError::NoVariable(_))));
        assert!(matches!(SecretSource::Credential("../x".into()).read(), Err(SecretError::BadName(_))));
    }
}
