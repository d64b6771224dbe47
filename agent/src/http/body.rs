//! Bodies of requests, compressed on their way out.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::RequestBuilder;
use reqwest::header::CONTENT_ENCODING;
use tokio_util::bytes::Bytes;

/// A smaller body fits into one packet with its headers, compressed or not.
const WORTH_IT: usize = 1024;
/// Compressing more takes longer, some milliseconds, than a thread that serves others should be kept.
const QUICK: usize = 128 * 1024;

/// Gives a request its body, compressed if that pays. It is compressed whole, so that its length is known: not every
/// gateway takes a body of unknown length.
pub(super) async fn compressed(request: RequestBuilder, body: Bytes) -> RequestBuilder {
    if body.len() < WORTH_IT {
        return request.body(body);
    }
    let plain = body.clone();
    let zipped = if body.len() <= QUICK {
        zip(&plain)
    } else {
        tokio::task::spawn_blocking(move || zip(&plain)).await.map_err(io::Error::other).flatten()
    };
    match zipped {
        Ok(zipped) => request.header(CONTENT_ENCODING, "gzip").body(zipped),
        Err(_) => request.body(body),
    }
}

fn zip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}
