//! How many are served at once: of more, the one that came first makes room.

use std::collections::VecDeque;

use tokio_util::sync::CancellationToken;

/// Whoever is being served, the one that came first in front.
#[derive(Debug)]
pub struct UnderWay {
    most: usize,
    all: VecDeque<CancellationToken>,
}

impl UnderWay {
    /// So many at once.
    pub const fn new(most: usize) -> Self {
        Self { most, all: VecDeque::new() }
    }

    /// Another one. Those that have ended take no room.
    pub fn begin<F: Future<Output = ()>>(&mut self, one: F) -> impl Future<Output = ()> + use<F> {
        self.all.retain(|it| !it.is_cancelled());
        let over = CancellationToken::new();
        self.all.push_back(over.clone());
        if self.all.len() > self.most {
            self.all.pop_front().iter().for_each(CancellationToken::cancel);
        }
        async move {
            over.run_until_cancelled(one).await;
            over.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    const MOST: usize = 4;

    /// Count those that have ended, and whoever looks every second has a doctor's look cut off.
    #[tokio::test]
    async fn what_takes_long_makes_room_for_others_only_if_they_take_long_too() {
        let mut under_way = UnderWay::new(MOST);
        let mut long = Box::pin(under_way.begin(pending()));
        for _ in 0..3 * MOST {
            under_way.begin(ready(())).await;
        }
        let others: Vec<_> = (1..MOST).map(|_| under_way.begin(pending())).collect();
        assert_eq!((&mut long).now_or_never(), None);
        let _one_more = under_way.begin(pending());
        assert_eq!(long.now_or_never(), Some(()));
        assert!(others.into_iter().all(|it| it.now_or_never().is_none()));
    }
}
