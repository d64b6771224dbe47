//! The connections to a system, which can be given up all at once.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_protocol::plain::Chain;
use reqwest::{Client, Proxy, redirect};
use rustls::ClientConfig;

use super::{Compression, Encryption, HttpError, IDLE, Options, PING, Version};

/// The HTTP library's client, and what it takes to make another.
#[derive(Clone)]
pub(super) struct Connections {
    current: Arc<Mutex<Current>>,
    recipe: Arc<Recipe>,
}

struct Current {
    client: Client,
    tls: ClientConfig,
}

struct Recipe {
    options: Options,
    proxy: Option<Proxy>,
    /// Held while root certificates are read.
    reading: Mutex<()>,
}

impl Connections {
    pub(super) fn new(options: &Options, proxy: Option<Proxy>) -> Result<Self, HttpError> {
        let recipe = Recipe { options: options.clone(), proxy, reading: Mutex::default() };
        let current = recipe.begin()?;
        Ok(Self { current: Arc::new(Mutex::new(current)), recipe: Arc::new(recipe) })
    }

    pub(super) fn client(&self) -> Client {
        self.current().client.clone()
    }

    /// Closes every connection as soon as nobody waits for an answer on it. The next request opens one anew.
    ///
    /// What was received last stays in a connection's buffers until the next answer is written over it.
    pub(super) fn give_up(&self) {
        // Roots that are read anew meanwhile would be taken back.
        let mut current = self.current();
        match self.recipe.client(&current.tls) {
            Ok(client) => current.client = client,
            Err(error) => tracing::warn!(%error, "connections are kept that should be closed"),
        }
    }

    /// Reads the root certificates again, which somebody may have replaced since. As long as they cannot be used, those that were
    /// read before are. Blocks.
    pub(super) fn trust_anew(&self) {
        // Somebody reads them just now.
        let Ok(_alone) = self.recipe.reading.try_lock() else { return };
        match self.recipe.begin() {
            Ok(anew) => *self.current() = anew,
            Err(error) => {
                let error = Chain(&error);
                tracing::warn!(%error, "the root certificates are used that were read before");
            }
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recipe {
    fn begin(&self) -> Result<Current, HttpError> {
        let tls = self.options.roots.client_config(self.options.version)?;
        Ok(Current { client: self.client(&tls).map_err(HttpError::Client)?, tls })
    }

    fn client(&self, tls: &ClientConfig) -> Result<Client, reqwest::Error> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .https_only(self.options.encryption == Encryption::Required)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(IDLE)
            .gzip(self.options.compression == Compression::Allowed)
            .timeout(self.options.timeout)
            // The same unless a request says that it may take longer: then nothing of it may come as late.
            .read_timeout(self.options.timeout);
        builder = match self.options.version {
            Version::Http1 => builder.http1_only(),
            Version::Http2 => builder.http2_keep_alive_interval(PING).http2_keep_alive_timeout(PING),
        };
        if let Some(limit) = self.options.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        builder.build()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}
