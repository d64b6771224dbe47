//! What is counted and read, under names that one table of each program has. Prometheus' text format.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What the text is.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// How a metric's values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from zero at the start of the process. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How long things took: for each of some bounds, how many took no longer. Its name ends in `_seconds`.
    Histogram,
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// The names of its labels. Each has few values, of a list or of the configuration.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The table of a program: each metric under the name that the program's code has for it, and all in a list.
#[macro_export]
macro_rules! metric_table {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(crate) static $id: $crate::metrics::Metric = $crate::metrics::Metric {
            name: $name,
            kind: $crate::metrics::Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// Every metric of this program.
        pub static TABLE: &[&$crate::metrics::Metric] = &[$(&$id),+];
    };
}

/// What a program counts and measures, each under the name that its code has for it, with the row of the table; and
/// `metrics()`, where all of it is counted.
#[macro_export]
macro_rules! counted {
    ($($id:ident: $kind:ident = $metric:ident;)+) => {
        /// What is counted.
        pub(crate) struct Metrics {
            $(pub(crate) $id: $crate::metrics::$kind,)+
        }

        /// What this process counted.
        pub(crate) fn metrics() -> &'static Metrics {
            static METRICS: ::std::sync::LazyLock<Metrics> =
                ::std::sync::LazyLock::new(|| Metrics { $($id: $crate::metrics::$kind::of(&$metric),)+ });
            &METRICS
        }

        impl Metrics {
            /// Puts all of it on a page.
            pub(crate) fn put_on(&self, page: &mut $crate::metrics::Page) {
                $(self.$id.put_on(page);)+
            }
        }
    };
}

/// The bounds of histograms, in seconds: from a commit on a fast disk to a batch that takes an hour.
const BOUNDS: [f64; 14] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

type Labels = Vec<(&'static str, String)>;

fn labels(metric: &Metric, values: &[&str]) -> Labels {
    metric.labels.iter().copied().zip(values.iter().map(|it| (*it).to_owned())).collect()
}

/// Something that is counted where it happens.
#[derive(Debug, Clone)]
pub struct Count {
    metric: &'static Metric,
    family: Family<Labels, Counter>,
}

impl Count {
    /// Under this name. Without labels it is there from the beginning.
    pub fn of(metric: &'static Metric) -> Self {
        let count = Self { metric, family: Family::default() };
        if metric.labels.is_empty() {
            drop(count.family.get_or_create(&Vec::new()));
        }
        count
    }

    /// It happened once more, with these values of the labels.
    pub fn one(&self, values: &[&str]) {
        self.family.get_or_create(&labels(self.metric, values)).inc();
    }

    /// Puts what was counted on a page.
    pub fn put_on(&self, page: &mut Page) {
        page.0.push((self.metric, Values::Counted(self.family.clone())));
    }
}

/// How long something takes, measured where it happens.
#[derive(Debug, Clone)]
pub struct Durations {
    metric: &'static Metric,
    family: Family<Labels, Histogram>,
}

impl Durations {
    /// Under this name.
    pub fn of(metric: &'static Metric) -> Self {
        Self { metric, family: Family::new_with_constructor(|| Histogram::new(BOUNDS)) }
    }

    /// It took this long, with these values of the labels.
    pub fn took(&self, time: Duration, values: &[&str]) {
        self.family.get_or_create(&labels(self.metric, values)).observe(time.as_secs_f64());
    }

    /// Puts what was measured on a page.
    pub fn put_on(&self, page: &mut Page) {
        page.0.push((self.metric, Values::Timed(self.family.clone())));
    }
}

/// What a scrape is answered: what was counted, and what is read now.
#[derive(Debug, Default)]
pub struct Page(Vec<(&'static Metric, Values)>);

#[derive(Debug)]
enum Values {
    Counted(Family<Labels, Counter>),
    Timed(Family<Labels, Histogram>),
    Read(Vec<(Labels, f64)>),
}

impl Page {
    /// What is read now.
    pub fn read(&mut self, metric: &'static Metric, value: impl Into<Value>) {
        self.read_each(metric, [(Vec::<String>::new(), value)]);
    }

    /// What is read now, for each of these values of the labels.
    pub fn read_each<V: Into<Value>>(
        &mut self,
        metric: &'static Metric,
        values: impl IntoIterator<Item = (Vec<String>, V)>,
    ) {
        let each = values.into_iter().map(|(values, value)| {
            let labels = metric.labels.iter().copied().zip(values).collect();
            (labels, value.into().0)
        });
        self.0.push((metric, Values::Read(each.collect())));
    }

    /// As text. What is not known has no line.
    pub fn text(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_text::encode(&mut text, &registry);
        text
    }
}

/// A value that is read.
#[derive(Debug, Clone, Copy)]
pub struct Value(f64);

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(f64::from(u8::from(value)))
    }
}

impl From<u64> for Value {
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "Prometheus has no other numbers, and beyond 2^53 nobody minds"
    )]
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        u64::try_from(value).unwrap_or(u64::MAX).into()
    }
}

impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        Self(value.as_secs_f64())
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (metric, values) in &self.0 {
            if matches!(values, Values::Read(values) if values.is_empty()) {
                continue;
            }
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            // The library appends what ours has already.
            let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            let mut encoder = encoder.encode_descriptor(name, metric.help, None, kind)?;
            match values {
                Values::Counted(family) => family.encode(encoder)?,
                Values::Timed(family) => family.encode(encoder)?,
                Values::Read(values) => {
                    for (labels, value) in values {
                        let mut encoder = encoder.encode_family(labels)?;
                        match metric.kind {
                            Kind::Counter => encoder.encode_counter::<Labels, _, u64>(value, None)?,
                            Kind::Gauge | Kind::Histogram => encoder.encode_gauge(value)?,
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CALLS: Metric = Metric { name: "x_calls_total", kind: Kind::Counter, labels: &["to"], help: "Calls." };
    static TIMES: Metric = Metric { name: "x_seconds", kind: Kind::Histogram, labels: &[], help: "Times." };
    static DEPTH: Metric = Metric { name: "x_depth", kind: Kind::Gauge, labels: &[], help: "Depth." };
    static COMMITS: Metric = Metric { name: "x_commits_total", kind: Kind::Counter, labels: &[], help: "Commits." };
    static UNKNOWN: Metric = Metric { name: "x_unknown", kind: Kind::Gauge, labels: &["of"], help: "Unknown." };

    #[test]
    fn a_page_has_what_was_counted_and_what_is_read() {
        let (calls, times) = (Count::of(&CALLS), Durations::of(&TIMES));
        calls.one(&["a \"b\""]);
        calls.one(&["a \"b\""]);
        times.took(Duration::from_millis(3), &[]);
        let mut page = Page::default();
        calls.put_on(&mut page);
        times.put_on(&mut page);
        page.read(&DEPTH, 7_u64);
        page.read(&COMMITS, 9_u64);
        page.read_each(&UNKNOWN, Vec::<(Vec<String>, u64)>::new());
        let text = page.text();
        for line in [
            "# TYPE x_calls_total counter",
            r#"x_calls_total{to="a \"b\""} 2"#,
            r#"x_seconds_bucket{le="0.005"} 1"#,
            "x_seconds_count 1",
            "x_depth 7",
            "x_commits_total 9",
        ] {
            let found = text.lines().any(|it| it.replace(".0", "") == line.replace(".0", ""));
            assert!(found, "{line} in\n{text}");
        }
        assert!(!text.contains("x_unknown"), "{text}");
    }
}
