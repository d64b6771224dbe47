//! The connections to a system, which can be given up all at once.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Client, Proxy, redirect};
use rustls::ClientConfig;

use super::{Compression, Encryption, HttpError, IDLE, Options, PING, Version};

/// The HTTP library's client, and what it takes to make another.
#[derive(Clone)]
pub(super) struct Connections {
    client: Arc<Mutex<Client>>,
    recipe: Arc<Recipe>,
}

struct Recipe {
    options: Options,
    tls: ClientConfig,
    proxy: Option<Proxy>,
}

impl Connections {
    pub(super) fn new(options: &Options, proxy: Option<Proxy>) -> Result<Self, HttpError> {
        let tls = options.roots.client_config(options.version)?;
        let recipe = Recipe { options: options.clone(), tls, proxy };
        let client = recipe.client().map_err(HttpError::Client)?;
        Ok(Self { client: Arc::new(Mutex::new(client)), recipe: Arc::new(recipe) })
    }

    pub(super) fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes every connection as soon as nobody waits for an answer on it. The next request opens one anew.
    ///
    /// What was received last stays in a connection's buffers until the next answer is written over it.
    pub(super) fn give_up(&self) {
        match self.recipe.client() {
            Ok(client) => *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client,
            Err(error) => tracing::warn!(%error, "connections are kept that should be closed"),
        }
    }
}

impl Recipe {
    fn client(&self) -> Result<Client, reqwest::Error> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
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
