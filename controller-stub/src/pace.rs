//! Who gives or takes next to nothing is cut off: a caller must not hold a request open byte by byte.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::limits::{GIVING, LEAST, TAKING};

/// What moved since it was last waited for.
struct Pace {
    patience: Duration,
    waited: Option<Pin<Box<Sleep>>>,
    moved: usize,
}

impl Pace {
    const fn new(patience: Duration) -> Self {
        Self { patience, waited: None, moved: 0 }
    }

    fn moved(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= LEAST {
            self.rest();
        }
    }

    /// Nothing is waited for.
    fn rest(&mut self) {
        *self = Self::new(self.patience);
    }

    /// Nothing moves now. Ready when too little has moved for too long.
    fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let patience = self.patience;
        ready!(self.waited.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience))).as_mut().poll(cx));
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("fewer than {LEAST} bytes in {} s", patience.as_secs()),
        ))
    }
}

/// A connection whose peer has to take what it is sent.
pub struct Taken<S> {
    stream: S,
    pace: Pace,
}

impl<S> Taken<S> {
    /// Over this stream.
    pub fn over(stream: S) -> Self {
        Self { stream, pace: Pace::new(TAKING) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Ready(written) => {
                self.pace.moved(*written.as_ref().unwrap_or(&0));
                Poll::Ready(written)
            }
            Poll::Pending => self.pace.poll_lost(cx).map(Err),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything that was to be written is.
        self.pace.rest();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of a request, whose sender has to go on sending.
pub struct Given<B> {
    body: B,
    pace: Pace,
}

impl<B> Given<B> {
    /// This body.
    pub fn of(body: B) -> Self {
        Self { body, pace: Pace::new(GIVING) }
    }
}

impl<B: Body + Unpin> Body for Given<B>
where
    B::Data: AsRef<[u8]>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Data = B::Data;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    self.pace.moved(frame.data_ref().map_or(0, |data| data.as_ref().len()));
                }
                Poll::Ready(frame.map(|it| it.map_err(io::Error::other)))
            }
            Poll::Pending => self.pace.poll_lost(cx).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use hyper::body::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A body that comes in pieces of so many bytes, one every ten seconds.
    fn dripping(pieces: usize, size: usize) -> impl Body<Data = Bytes, Error = io::Error> + Unpin {
        Box::pin(StreamBody::new(stream::unfold(0, move |sent| async move {
            if sent == pieces {
                return None;
            }
            tokio::time::sleep(Duration::from_secs(10)).await;
            Some((Ok(Frame::data(Bytes::from(vec![0; size]))), sent + 1))
        })))
    }

    /// Begin to count anew with every byte, and a body lasts as long as its sender likes.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_and_a_slow_one_is_read() {
        let error = Given::of(dripping(100, 1)).collect().await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        let whole = Given::of(dripping(100, LEAST / 2)).collect().await.unwrap();
        assert_eq!(whole.to_bytes().len(), 50 * LEAST);
    }

    /// Have as little patience with an answer as with a body and the last fails: a reader of 20 KiB a second, seen from
    /// behind a buffer of a megabyte and a half.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_sipped_is_given_up_and_a_slow_reader_gets_all_of_it() {
        for (sip, pause, is_taken) in [(1, 10, false), (LEAST / 2, 120, true), (90 * LEAST, 140, true)] {
            let (ours, mut theirs) = tokio::io::duplex(sip.max(1024));
            let mut ours = Taken::over(ours);
            let answer = vec![0; 20 * sip.max(LEAST)];
            let reads = async {
                let mut buffer = vec![0; sip];
                while theirs.read_exact(&mut buffer).await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                }
            };
            let writes = async {
                let written = ours.write_all(&answer).await;
                drop(ours);
                written
            };
            let (written, ()) = tokio::join!(writes, reads);
            assert_eq!(written.is_ok(), is_taken, "{sip}");
        }
    }

    /// Keep the patience of one answer for the next, and a caller that rests is cut off.
    #[tokio::test(start_paused = true)]
    async fn a_caller_that_took_everything_may_rest() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut ours = Taken::over(ours);
        for _ in 0..3 {
            let mut buffer = [0; 32];
            let writes = async {
                ours.write_all(&[0; 32]).await.unwrap();
                ours.flush().await.unwrap();
            };
            let reads = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                theirs.read_exact(&mut buffer).await.unwrap();
            };
            tokio::join!(writes, reads);
            tokio::time::sleep(2 * TAKING).await;
        }
    }
}
